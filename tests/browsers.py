"""What tests that drive a browser share."""

import os
import shutil
import socket
import time
import urllib.request
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser: make test-ui installs one")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address, process, log):
    """Return once a server answers; its log where it ended instead."""
    for _ in range(900):
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
