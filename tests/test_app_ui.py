"""Page and notebook driven as people use them, in a browser where one is found.

`make test-ui` installs what is missing. Pictures of states go to the folder TEMPO_UI_PICTURES.
"""

import json
import re
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from app_page import WAIT, ask, opened, page_served, status, upload
from browsers import CHROMIUM, needs_browser, picture, serious_findings, set_slider
from playwright.sync_api import expect, sync_playwright

from tempo_lib.miniature.world import clips, rendering, scenes
from tempo_lib.miniature.world.questions import all_questions

pytest.importorskip("gradio", reason="the page has an environment of its own: make test-ui")
pytestmark = [pytest.mark.ui, needs_browser]
SIZES = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address, process and temporary folder of ``tempo app``."""
    with page_served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, served):
    yield from opened(browser, served[0], 1280, "light")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A drawn clip and two questions about it."""
    story = scenes.make_story(np.random.default_rng(7), 96)
    path = tmp_path_factory.mktemp("clips") / "mine.mp4"
    clips.write_clip(path, rendering.render(story, 7))
    texts = [question.text for question in all_questions(story, 4)]
    return path, texts[0], texts[-1]


def used(page, number=0):
    """(tokens, budget) of a track's gauge."""
    text = page.locator(".te-used").nth(number).inner_text()
    return tuple(int(part) for part in re.findall(r"\d+", text))


def shown_second(page):
    return page.evaluate("document.querySelector('.te-explorer video').currentTime")


def test_upload_ask_follow_up_move_and_seek(page, clip):
    path, first, second = clip
    upload(page, path)
    ask(page, first)
    expect(page.locator(".te-bar")).to_have_count(12)
    ask(page, second)
    expect(page.locator("#answers")).to_contain_text("a follow-up: compressing took")
    before, budget = used(page)
    set_slider(page.get_by_label("budget (tokens)"), 30)
    after, lowered = used(page)
    assert before <= budget and lowered == 30 and after <= 30
    page.get_by_label("policy").select_option("uniform")
    assert used(page)[0] == 24  # 12 segments, 30 // 12 = 2 each
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".te-track")).to_have_count(2)
    timeline = page.locator(".te-timeline").first
    box = timeline.bounding_box()
    timeline.click(position={"x": box["width"] * 0.8, "y": box["height"] / 2})
    clicked = shown_second(page)
    assert clicked > 24
    timeline.press("Home")
    assert shown_second(page) < 4
    expect(page.locator(".te-place")).to_contain_text("Segment 1 of 12")
    timeline.press("ArrowRight")
    expect(timeline).to_have_attribute("aria-valuenow", "2")
    timeline.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(page.locator(".te-tip")).to_contain_text("tokens")
    picture(page, "compared")


def test_a_cited_second_shows_its_frame(page, clip):
    path, first, _ = clip
    upload(page, path)
    ask(page, first)
    page.locator(".te-timeline").first.press("Home")
    link = page.locator("#answers a").first
    link.click()
    page.wait_for_timeout(300)
    assert shown_second(page) == pytest.approx(float(link.get_attribute("data-second")))


def test_two_budgets_stand_side_by_side(page):
    page.get_by_label("Or an example").click()
    page.get_by_role("option").first.click()
    expect(status(page)).to_have_value(re.compile("Example ready"), timeout=WAIT)
    page.get_by_text("Options").first.click()
    field = page.get_by_label("number input for Second budget")
    field.fill("60")
    field.press("Tab")
    ask(page, page.get_by_label("Question", exact=True).input_value())
    expect(page.locator(".te-track")).to_have_count(2)
    assert used(page, 1)[1] == 60 and used(page, 1)[0] <= 60 < used(page, 0)[1]


def test_a_bad_file_and_no_file_are_said_in_one_sentence(page, tmp_path):
    page.get_by_label("Question", exact=True).fill("Who?")
    page.get_by_role("button", name="Ask", exact=True).click()
    said = "Upload a video, or choose an example, first."
    expect(status(page)).to_have_value(said, timeout=WAIT)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no film" * 1000)
    upload(page, bad)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(status(page)).to_have_value(re.compile("^Cannot read the file: .*[.]$"), timeout=WAIT)


def test_an_image_is_answered_and_its_link_gives_the_file_back(page, clip):
    path = clip[0].with_suffix(".png")
    clips.write_image(path, np.full((64, 64, 3), 120, np.uint8))
    upload(page, path)
    ask(page, "Which place is it?")
    expect(page.locator(".te-explorer .te-timeline")).to_have_count(0)
    with page.expect_download() as held:
        page.locator("a[download]").first.click()
    assert held.value.path().read_bytes() == path.read_bytes()


def batch(page, cases, *videos):
    """Send cases and videos on the tab for batches."""
    page.get_by_role("tab", name="Batch").click()
    for box, files in (("[accept*=json]", cases), ("[multiple]", list(videos))):
        with page.expect_response(re.compile("/upload")):
            page.locator(f"#batch input{box}").set_input_files(files)
    return page.locator("#batch").get_by_label("Status")


def test_a_batch_answers_the_cases_of_a_file_and_gives_them_back(page, clip, tmp_path):
    path, first, second = clip
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no film" * 1000)
    queries = [(path.name, first), ("elsewhere/" + path.name, second), (bad.name, first)]
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps([{"video_path": v, "query": q} for v, q in queries]))
    said = batch(page, cases, path, bad)
    page.get_by_role("button", name="Answer all").click()
    expect(said).to_have_value("Done: 3 questions.", timeout=WAIT)
    assert not serious_findings(page)
    picture(page, "batch")
    with page.expect_download() as held:
        page.get_by_text("Save the predictions (JSON)").click()
    rows = json.loads(held.value.path().read_text())
    assert [row["query"] for row in rows] == [first, second, first]
    assert ["error" in row for row in rows] == [False, False, True]
    assert sum(rows[0]["counts"]) == rows[0]["tokens_used"] <= rows[0]["budget"]
    expect(page.locator("#batch")).to_contain_text(rows[1]["text"])


def test_a_batch_without_its_video_names_it(page, tmp_path, clip):
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps([{"video_path": "other.mp4", "query": "Who?"}]))
    said = batch(page, cases, clip[0])
    page.get_by_role("button", name="Answer all").click()
    expect(said).to_have_value("Case 1: other.mp4 is not among the videos.", timeout=WAIT)


def test_cancel_ends_the_work(page, clip):
    upload(page, clip[0])
    page.get_by_label("Question", exact=True).fill(clip[1])
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("button", name="Cancel").first.click()
    expect(status(page)).to_have_value(re.compile("^(Cancelled|Done)"), timeout=WAIT)
    ask(page, clip[1])


def test_two_visitors_do_not_see_each_other(browser, served, clip):
    first, second = (next(opened(browser, served[0], 1280, "light")) for _ in range(2))
    upload(first, clip[0])
    ask(first, clip[1])
    second.get_by_label("Question", exact=True).fill("Who?")
    second.get_by_role("button", name="Ask", exact=True).click()
    expect(status(second)).to_have_value(re.compile("^Upload a video"), timeout=WAIT)
    film = first.evaluate("document.querySelector('.te-explorer video').src")
    assert answered(film) == 200
    first.close()
    second.close()
    deadline = time.monotonic() + 30  # the server hears of it a little later
    while answered(film) != 404 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answered(film) == 404


def answered(address):
    """The status of an address."""
    try:
        return urllib.request.urlopen(address).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_it_fits_and_reads_well_in_every_size_and_theme(browser, served, clip, width, scheme):
    for page in opened(browser, served[0], width, scheme):
        upload(page, clip[0])
        ask(page, clip[1])
        page.get_by_role("button", name="Compare").click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        picture(page, f"page-{scheme}-{width}")
        assert not serious_findings(page)


def test_the_server_removes_its_files_when_it_ends(browser, served, clip):
    address, process, folder = served
    for page in opened(browser, address, 1280, "light"):
        upload(page, clip[0])
        assert list(folder.glob("tempo-app-*/visitors/*/*.mp4"))
    process.terminate()
    process.wait(timeout=30)
    assert not list(folder.glob("tempo-app-*"))
