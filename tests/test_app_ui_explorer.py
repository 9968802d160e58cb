"""The explorer alone in a browser: what it saves, impossible numbers, missing videos."""

import csv
import io
from dataclasses import asdict

import numpy as np
import pytest
from browsers import CHROMIUM, needs_browser, open_explorer, set_slider
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tempo_lib.allocation.ata import allocate
from tempo_lib.app.explorer.payload import Row, film_of, payload
from tempo_lib.video.clip import Video

pytestmark = [pytest.mark.ui, needs_browser]
SCORES = np.array([0.1, 0.9, 0.2, 0.7], np.float32)
LIMITS = {"budget": 40, "k_min": 2, "k_max": 16}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


def data_of(video=None, **changed):
    counts = allocate(SCORES, 40, 2, 16).tolist()
    row = Row(
        film=0,
        question='=Which, "number"?',
        scores=SCORES.tolist(),
        relevant=[0, 1, 0, 0],
        counts=counts,
        prediction="<b>12</b>",
        answer="13",
        correct=False,
    )
    other = Row(**{**asdict(row), "question": "Who?", "scores": SCORES[::-1].tolist()})
    film = film_of(video, np.array([1.0, 3.0, 5.0, 7.0]), "No pictures: the video is missing")
    return payload([film], [row, other], LIMITS, 16, **changed)


@pytest.fixture
def page(browser):
    frames_THW3 = np.random.default_rng(0).integers(0, 255, (16, 32, 32, 3), dtype=np.uint8)
    made = open_explorer(browser, data_of(Video(frames_THW3)))
    made.set_default_timeout(30_000)
    yield made
    made.close()


def saved(page, kind):
    with page.expect_download() as held:
        page.get_by_role("button", name=f"save as {kind}").click()
    return held.value.path().read_bytes()


def test_the_table_holds_every_segment_and_no_formula(page):
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))
    assert [int(row["tokens"]) for row in rows] == allocate(SCORES, 40, 2, 16).tolist()
    assert rows[0]["question"] == '\'=Which, "number"?'
    assert rows[1]["timestamp"] == "<3.0 seconds>" and rows[1]["relevant"] == "1"
    page.get_by_role("button", name="Compare").click()
    assert len(list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))) == 8


def test_the_pictures_are_whole(page):
    page.get_by_role("button", name="Compare").click()
    svg = saved(page, "SVG").decode()
    assert svg.count('class="te-bar"') == 8 and "Who?" in svg
    image = Image.open(io.BytesIO(saved(page, "PNG")))
    assert image.width > 1000 and len(image.convert("RGB").getcolors(2**20)) > 4


def test_impossible_numbers_are_said_and_the_budget_holds(page):
    problems = page.locator(".te-problems")
    set_slider(page.get_by_label("k_min (anchor)"), 12)
    expect(problems).to_contain_text("4 anchors of 12 do not fit 40 tokens: they shrink")
    set_slider(page.get_by_label("k_max (capacity)"), 5)
    expect(problems).to_contain_text("k_min 12 exceeds k_max 5: taken as 5")
    for budget in (0, 1, 3, 7, 63, 64):
        set_slider(page.get_by_label("budget (tokens)"), budget)
        gauge = page.get_by_role("meter")
        assert int(gauge.get_attribute("aria-valuenow")) <= budget
        bars = page.locator(".te-bar").evaluate_all("bars => bars.map((b) => +b.dataset.tokens)")
        assert sum(bars) <= budget and max(bars) <= 5
    page.get_by_role("button", name="Reset").click()
    expect(problems).to_be_empty()
    expect(page.locator(".te-used")).to_have_text(
        f"{sum(allocate(SCORES, 40, 2, 16))} of 40 tokens"
    )


def test_a_policy_that_needs_logits_says_that_there_are_none(page):
    page.get_by_label("policy").select_option("ata-logit")
    expect(page.locator(".te-problems")).to_contain_text("this record has no logits")
    page.get_by_label("policy").select_option("ata")
    expect(page.locator(".te-problems")).to_be_empty()


def test_texts_of_a_model_are_shown_as_they_are(page):
    prediction = page.locator(".te-prediction")
    expect(prediction).to_contain_text("<b>12</b> \u2718 wrong (answer: 13)")
    assert prediction.locator("b").count() == 0


def test_a_scheme_changes_which_memories_are_shown_as_kept(page):
    timeline = page.locator(".te-timeline")
    timeline.press("Home")
    cells = page.locator(".te-cell")
    kept = "cells => cells.map((c) => c.classList.contains('te-kept'))"
    count = allocate(SCORES, 40, 2, 16).tolist()[0]
    assert cells.evaluate_all(kept) == [True] * count + [False] * (16 - count)
    page.get_by_label("scheme").select_option("tail")
    assert cells.evaluate_all(kept) == [False] * (16 - count) + [True] * count


def test_keys_move_from_segment_to_segment_and_stay_inside(page):
    timeline = page.locator(".te-timeline")
    timeline.press("End")
    timeline.press("ArrowRight")
    expect(timeline).to_have_attribute("aria-valuenow", "4")
    timeline.press("Home")
    timeline.press("ArrowLeft")
    expect(timeline).to_have_attribute("aria-valuenow", "1")
    expect(timeline).to_have_attribute(
        "aria-valuetext",
        r"segment 1 of 4, <1.0 seconds>, "
        f"score 0.100, {allocate(SCORES, 40, 2, 16)[0]} tokens",
    )


def test_without_a_video_the_explorer_says_so_and_works(browser):
    page = open_explorer(browser, data_of())
    expect(page.locator(".te-problems")).to_have_text("No pictures: the video is missing.")
    expect(page.locator(".te-bar")).to_have_count(4)
    page.locator(".te-timeline").hover()
    expect(page.locator(".te-tip")).to_contain_text("tokens")
    page.close()


def test_without_questions_the_explorer_says_so(browser):
    page = open_explorer(browser, payload([], [], LIMITS, 16, missing=["No records here"]))
    expect(page.locator(".te-problems")).to_have_text("No records here.")
    page.close()


def test_a_video_that_no_codec_plays_gives_way_to_its_frames(browser):
    frames_THW3 = np.zeros((16, 32, 32, 3), np.uint8)
    data = data_of(Video(frames_THW3))
    data["films"][0]["video"] = "data:video/mp4;base64,AAAA"
    page = open_explorer(browser, data)
    expect(page.locator(".te-picture")).to_be_visible()
    expect(page.locator("video")).to_be_hidden()
    page.close()
