"""``tempo app`` and ``tempo serve``: loopback by default, one line for what cannot be."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from browsers import free_port, wait_for

from tempo_lib.cli.app import run
from tempo_lib.cli.serving import KEY_VARIABLE, api_key


@pytest.mark.parametrize("command", ["app", "serve"])
def test_an_open_address_needs_a_key(command, capsys, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert run([command, "--host", "0.0.0.0", "--port", str(free_port())]) == 2
    error = capsys.readouterr().err
    assert KEY_VARIABLE in error and error.count("\n") == 1


def test_loopback_needs_none_and_a_key_is_taken_from_the_environment(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert api_key("127.0.0.1") is None
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    assert api_key("0.0.0.0") == "secret"


def test_a_port_in_use_and_a_folder_that_is_none_are_said_in_one_line(capsys, tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        assert run(["serve", "--port", str(held.getsockname()[1])]) == 2
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err
    absent = str(tmp_path / "absent")
    assert run(["serve", "--port", str(free_port()), "--videos", absent]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_tempo_serve_answers_on_loopback_alone_and_ends_when_told(tmp_path):
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "tempo_lib.cli", "serve", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env={**os.environ})
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", process, log)
        models = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models"))
        assert models["data"][0]["id"] == "tempo-tiny"
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=2):
            pass
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_without_gradio_the_page_names_the_command_that_brings_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "tempo_lib.app.page", raising=False)
    assert run(["app", "--port", str(free_port())]) == 2
    assert "make app" in capsys.readouterr().err


def test_the_page_is_made_without_telemetry_or_a_public_link(repo_root):
    pytest.importorskip("gradio", reason="the page has an environment of its own: make test-ui")
    code = (
        "import os; os.environ.pop('GRADIO_ANALYTICS_ENABLED', None)\n"
        "from tempo_lib.app import page_layout\n"
        "import gradio.analytics, gradio as gr\n"
        "print(gradio.analytics.analytics_enabled(), gr.Blocks().analytics_enabled)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "False"], done.stderr[-500:]
    for path in (repo_root / "tempo_lib").rglob("*.py"):
        assert ".launch(" not in path.read_text(encoding="utf-8"), path  # a link needs it
