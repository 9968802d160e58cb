"""The page before weights in the released layout, as ``--preset 6b`` has them; these are tiny."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from app_page import ask, opened, page_served, upload
from browsers import CHROMIUM, needs_browser, picture
from playwright.sync_api import expect, sync_playwright

from tempo_lib.miniature.world import clips, rendering, scenes

pytest.importorskip("gradio", reason="the page has an environment of its own: make test-ui")
pytestmark = [pytest.mark.ui, needs_browser]
RELEASED = Path(__file__).parent / "data" / "golden"


@pytest.fixture
def served(tmp_path):
    """The page before the released layout, its base compressor in another place."""
    checkpoint = tmp_path / "released" / "Tempo-tiny"
    shutil.copytree(RELEASED / "Tempo-tiny", checkpoint)
    base = str(RELEASED / "Qwen3-VL-tiny")
    given = ("--preset", "6b", "--checkpoint", str(checkpoint), "--base-compressor", base)
    with page_served(tmp_path, *given) as (address, _, _):
        yield address


def test_a_video_is_answered_with_the_numbers_of_the_preset(served, tmp_path):
    path = tmp_path / "mine.mp4"
    clips.write_clip(path, rendering.render(scenes.make_story(np.random.default_rng(7), 48), 7))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for page in opened(browser, served, 1280, "light"):
            expect(page.get_by_text("this is the miniature")).to_have_count(0)
            page.get_by_text("Options").first.click()
            budget = page.get_by_label("number input for Budget (memory tokens)")
            expect(budget).to_have_value("8192")
            upload(page, path)
            ask(page, "Which number is shown?")
            expect(page.locator(".te-bar")).to_have_count(6)
            expect(page.locator("#answers")).to_contain_text("of 8192 tokens")
            picture(page, "released")
        browser.close()
