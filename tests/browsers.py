"""What tests share that serve something and drive a browser."""

import os
import shutil
import socket
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tempo_lib.app.explorer import front_end

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser: make test-ui installs one")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


expect.set_options(timeout=60_000)  # milliseconds; machines are shared


@contextmanager
def serving(app):
    """Address of an application that is served on loopback, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def wait_for(address, process, log):
    """Return once a server answers; its log where it ended instead."""
    for _ in range(3000):
        if process.poll() is not None:
            break
        try:
            return urllib.request.urlopen(address, timeout=5).status
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no server: {log.read_text()[-2000:]}")


def picture(page, name):
    """Keep a picture of the page where TEMPO_UI_PICTURES names a folder."""
    folder = os.environ.get("TEMPO_UI_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def blank_page(browser, **options):
    """A page with the scripts, an empty place and nothing else."""
    page = browser.new_page(**options)
    page.set_content(
        "<!doctype html><html lang=en><title>explorer</title><main><h1>Explorer</h1>"
        "<div id=here></div></main><style>:root { color-scheme: light dark } body { margin: 12px }"
        f"h1 {{ display: none }} {front_end.style()}</style>"
    )
    names = "{ mount, mountGrid }"
    script = f"{front_end.script()}\nObject.assign(window, {names});"
    page.add_script_tag(content=script, type="module")
    page.wait_for_function("() => Boolean(window.mount)")
    return page


def open_explorer(browser, data, **options):
    """A page with the explorer alone on it."""
    page = blank_page(browser, **options)
    page.evaluate("data => { mount(document.querySelector('#here'), data); }", data)
    return page


def serious_findings(page):
    """Serious and critical findings of axe-core about the whole page."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:160] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def set_slider(slider, value):
    slider.evaluate(
        "(slider, value) => { slider.value = value;"
        " slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )
