"""A batch run that is killed goes on where it was: nothing twice, nothing lost.

Deselected by default (minutes): ``pytest -m slow tests/test_reproduce_resume.py``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
from batch_samples import write_notebook

from tempo_lib.config import load_preset
from tempo_lib.miniature.rehearsal import make_data, make_weights
from tempo_lib.reproduce.workflow import Workflow

PRESET, SUITE, NUM_QUESTIONS = "6b-rehearsal", "videomme", 3
WHOLE = 'suites: list = ["mini-videomme"]  # which; the batch run: all'


@contextmanager
def started(*words):
    """The command in a process group of its own, which ends with SIGKILL whatever happens."""
    command = [sys.executable, "-m", "tempo_lib.cli", "reproduce", "--preset", PRESET, *words]
    options = {"start_new_session": True, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--cores", "1"], **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def written(home):
    """Bytes of each file of records."""
    files = (home / "runs" / PRESET / "evaluations").rglob("*.jsonl")
    return {path: path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_rehearsal_goes_on_where_it_was(tmp_path, monkeypatch, shared_dir):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    preset = load_preset(PRESET)
    make_data(preset, shared_dir / "annotations", 0.001, 1)
    make_weights(preset)
    facts = {"suites": ["mini-videomme"], "tables": [], "real": True}
    write_notebook(tmp_path, "20_suite", "print(suites)", parameters=WHOLE, **facts)
    with started() as killed:
        while not any(written(tmp_path).values()):
            assert killed.poll() is None, "it ended before anything was written"
            time.sleep(0.02)
    before, flow = written(tmp_path), Workflow(preset=preset, root=tmp_path)
    assert not (tmp_path / flow.marker(f"records-{SUITE}")).exists()
    with started() as again:
        again.communicate()
    after = written(tmp_path)
    assert again.returncode == 0 and before.keys() <= after.keys()
    for path, content in before.items():
        whole = content[: content.rfind(b"\n") + 1]  # a line that the kill cut goes
        assert after[path].startswith(whole), f"{path.name} was written anew"
    for path, content in after.items():
        asked = Counter(json.loads(line)["question_id"] for line in content.splitlines())
        assert (len(asked), asked.total()) == (NUM_QUESTIONS, NUM_QUESTIONS), path.name
    with started("--dry-run") as planned:
        assert planned.communicate()[0].splitlines()[-1] == "everything is up to date"
