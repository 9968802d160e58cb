"""JupyterLab in a browser: notebook 01 opened and run, and memories brushed before a kernel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupyterlab
import nbformat
import pytest
from browsers import CHROMIUM, free_port, needs_browser, picture, wait_for
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.ui, needs_browser]
NOTEBOOK = "01_ask_a_video.ipynb"
WAIT = 120_000  # milliseconds
BRUSHED = "brushed.ipynb"
BRUSHED_CELL = """
import numpy as np
from tempo_lib import Tempo, Video
from tempo_lib.app.explorer.front_loading import FrontLoadingExplorer
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.world import rendering, scenes

video = Video(rendering.render(scenes.make_story(np.random.default_rng(7), 96), 7), fps=2.0)
model = Tempo.from_pretrained(find_checkpoint("tiny"))
FrontLoadingExplorer(model, video, "Which number is shown with the blue star?")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory, repo_root):
    """Address of a JupyterLab on a copy of the notebook, and on a small one."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(repo_root / "notebooks" / NOTEBOOK, folder)
    cells = [nbformat.v4.new_code_cell(BRUSHED_CELL)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / BRUSHED)
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
        yield f"{address}/lab/tree"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def page():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 1280, "height": 1000})
        made.set_default_timeout(WAIT)
        yield made
        browser.close()


def run_all(page):
    """Run every cell of the notebook that is open."""
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def test_a_saved_notebook_shows_the_figure_and_the_explorer_works_once_it_has_run(page, lab):
    page.goto(f"{lab}/{NOTEBOOK}")
    saved = page.locator(".jp-RenderedImage img")
    expect(saved).to_have_count(3, timeout=WAIT)  # two figures, and the one of the explorer
    expect(page.locator(".te-explorer")).to_have_count(0)
    run_all(page)
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


def test_memories_are_brushed_before_a_kernel(page, lab):
    page.goto(f"{lab}/{BRUSHED}")
    run_all(page)
    status = page.locator(".te-explorer .te-status")
    expect(status).to_have_text("384 of 384 memories kept; all", timeout=WAIT)
    page.get_by_role("button", name="tail", exact=True).click()
    expect(status).to_contain_text("96 of 384 memories kept; answered in", timeout=WAIT)
    grid = page.locator(".te-grid")
    grid.click(position={"x": 200, "y": 36})  # the first position of every segment comes back
    expect(status).to_contain_text("108 of 384 memories kept; answered in", timeout=WAIT)
    picture(page, "lab-grid")
