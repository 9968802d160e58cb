"""Notebook 01 in JupyterLab, opened and run in a browser: the explorer once it has run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupyterlab
import pytest
from browsers import CHROMIUM, free_port, needs_browser, picture, wait_for
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.ui, needs_browser]
NOTEBOOK = "01_ask_a_video.ipynb"
WAIT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def lab(tmp_path_factory, repo_root):
    """Address of a JupyterLab on a copy of the notebook."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(repo_root / "notebooks" / NOTEBOOK, folder)
    port, log = free_port(), folder / "log"
    settings = [
        *("--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"),
        *("--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}"),
        "--ServerApp.disable_check_xsrf=True",
    ]
    every_cell = folder / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    every_cell.parent.mkdir(parents=True)
    every_cell.write_text('{"windowingMode": "none"}')  # else only what is near is drawn
    env = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTER_PATH": str(Path(jupyterlab.__file__).parents[4] / "share/jupyter"),  # widgets
        "PYTHONPATH": str(repo_root),
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *settings], stdout=stream, stderr=stream, env=env
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api", process, log)
        yield f"{address}/lab/tree/{NOTEBOOK}"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def page(lab):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1280, "height": 1000})
        made.set_default_timeout(WAIT)
        made.goto(lab)
        made.get_by_role("menuitem", name="Run", exact=True).wait_for()
        yield made
        browser.close()


def test_a_saved_notebook_shows_the_figure_and_the_explorer_works_once_it_has_run(page):
    saved = page.locator(".jp-RenderedImage img")
    expect(saved).to_have_count(3, timeout=WAIT)  # two figures, and the one of the explorer
    expect(page.locator(".te-explorer")).to_have_count(0)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    explorer = page.locator(".te-explorer")
    expect(explorer.locator("video")).to_be_visible(timeout=WAIT)
    question = explorer.get_by_label("another question about this video")
    question.fill("Which place is seen most?")
    question.press("Enter")
    expect(explorer.get_by_label("question", exact=True).locator("option")).to_have_count(3)
    expect(explorer.locator(".te-prediction")).to_contain_text("The ")
    explorer.locator(".te-timeline").press("End")
    expect(explorer.locator(".te-place")).to_contain_text("Segment 48 of 48")
    picture(page, "lab")
