"""The front-loading explorer in a browser: brush, keys, live answers, saved effects."""

import re
import time

import numpy as np
import pytest
import torch
from browsers import CHROMIUM, blank_page, needs_browser, picture, serious_findings, set_slider
from playwright.sync_api import expect, sync_playwright

from tempo_lib import Tempo
from tempo_lib.analysis.kept_memories import Measured, some_choices
from tempo_lib.app.explorer.front_loading import FrontLoadingExplorer
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.world import rendering, scenes
from tempo_lib.miniature.world.questions import all_questions
from tempo_lib.video.clip import Video

pytestmark = [pytest.mark.ui, needs_browser]
NUM_FRAMES, CAPACITY = 96, 32
SIZES = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))
SEGMENTS = NUM_FRAMES // 8


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def world():
    """The miniature, a drawn video, one of its questions and the answers it could have."""
    story = scenes.make_story(np.random.default_rng(7), NUM_FRAMES)
    question = next(one for one in all_questions(story, 4) if one.kind == "needle")
    video = Video(rendering.render(story, 7), fps=2.0)
    ends = [f"{number}." for number in range(10)]
    stem = question.answer.rsplit(" ", 1)[0]
    candidates = tuple(f"{stem} {end}" for end in ends)
    return Tempo.from_pretrained(find_checkpoint("tiny")), video, question.text, candidates


@pytest.fixture(scope="module")
def live(world):
    return FrontLoadingExplorer(*world)


@pytest.fixture(scope="module")
def saved(world):
    model, video, question, candidates = world
    measured = Measured(model, model.compress(video, question), question, candidates)
    choices = some_choices(CAPACITY)
    named = {name: choices[name] for name in ("head 8", "tail 8", "every 8")}
    return FrontLoadingExplorer.from_records(measured.effects(named), video)


def opened(browser, explorer, **options):
    """A page with the grid alone; ``keep`` calls the widget's Python, as a kernel would."""
    page = blank_page(browser, **options)
    page.set_default_timeout(60_000)
    heard = []

    def keep(rows):
        explorer.send = lambda content, buffers=None: heard.append(content)
        explorer._received(None, {"kind": "keep", "kept": rows}, [])
        return heard[-1]

    page.expose_function("keep", keep)
    page.evaluate(
        """([data, isLive]) => {
          const hear = (message) => message.kind === "effect" ? grid.show(message.effect)
            : grid.say(message.text);
          const keep = isLive ? (rows) => window.keep(rows).then(hear) : null;
          const grid = mountGrid(document.querySelector("#here"), data, keep);
        }""",
        [explorer.data, explorer.can_ask],
    )
    page.heard = heard
    return page


@pytest.fixture
def page(browser, live):
    made = opened(browser, live)
    yield made
    made.close()


def kept(page):
    """How many memories the page says are kept, once the answer is there."""
    status = page.locator(".te-status")
    expect(status).not_to_have_text("Computing ...")
    return int(status.inner_text().split(" of ")[0])


def drag(page, start, stop):
    """Brush from one place of the grid to another, in shares of its width and height."""
    box = page.locator(".te-grid").bounding_box()
    inner = box["height"] - 48  # what lies above and below the cells
    left, width = box["x"] + 34, box["width"] - 34
    places = [(left + width * x, box["y"] + 30 + inner * y) for x, y in (start, stop)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def test_what_is_brushed_away_changes_answer_and_likelihoods(page, world):
    model, video, question, _ = world
    before = page.locator("tbody").first.inner_text()
    drag(page, (0.2, 0.3), (0.6, 0.999))
    expect(page.locator(".te-status")).to_contain_text("answered in")
    effect = page.heard[-1]["effect"]
    size = len(effect["positions"])
    assert kept(page) == size * SEGMENTS and effect["positions"] == list(range(size)) and size < 12
    counts_N = torch.full((SEGMENTS,), size)
    wanted = model.decode(model.compress(video, question), question, counts=counts_N)
    expect(page.locator(".te-answered")).to_have_text(wanted.text)
    assert page.locator("tbody").first.inner_text() != before


def test_buttons_and_slider_keep_either_end_or_any(page):
    for name, first in (("head", 0), ("tail", CAPACITY - 8), ("every", 2)):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".te-status")).to_contain_text("answered in")
        assert kept(page) == 8 * SEGMENTS
        assert page.heard[-1]["effect"]["positions"][0] == first
    set_slider(page.get_by_label("this many"), 3)
    expect(page.locator(".te-status")).to_contain_text(f"{3 * SEGMENTS} of")
    page.get_by_role("button", name="all", exact=True).click()
    expect(page.locator(".te-status")).to_contain_text(f"{CAPACITY * SEGMENTS} of")


def test_single_segments_are_brushed_too_and_keys_do_it_without_a_mouse(page):
    page.get_by_label("same positions in every segment").uncheck()
    grid = page.locator(".te-grid")
    grid.focus()
    for key in ["ArrowLeft"] * SEGMENTS + ["Shift+ArrowDown"] * 3 + ["Shift+ArrowRight"]:
        grid.press(key)
    expect(grid).to_have_attribute("aria-label", _words("segment 2 of 12", "position 4: kept"))
    grid.press("Space")
    expect(page.locator(".te-status")).to_contain_text("answered in")
    assert kept(page) == CAPACITY * SEGMENTS - 8 and page.heard[-1]["effect"]["positions"] is None
    expect(grid).to_have_attribute("aria-label", _words("segment 2 of 12", "position 4: left out"))
    grid.press("Enter")
    expect(page.locator(".te-status")).to_contain_text(f"{CAPACITY * SEGMENTS - 7} of")


def _words(*parts):
    return re.compile(".*".join(map(re.escape, parts)))


def test_a_change_takes_less_than_a_second(page):
    took = []
    for size in (32, 24, 16, 8, 4):
        started = time.perf_counter()
        set_slider(page.get_by_label("this many"), size)
        expect(page.locator(".te-status")).to_contain_text(f"{size * SEGMENTS} of")
        took.append(time.perf_counter() - started)
    assert min(took) < 1.0, took  # the fastest: machines are shared


def test_saved_effects_show_the_nearest_set_and_say_so(browser, saved):
    page = opened(browser, saved)
    choice, status = page.get_by_label("recorded"), page.locator(".te-status")
    choice.select_option("tail 8")
    expect(status).to_have_text(f"{8 * SEGMENTS} of {CAPACITY * SEGMENTS} memories kept; tail 8")
    expect(page.locator(".te-answered")).to_have_text(saved.effects.effects[2].text)
    set_slider(page.get_by_label("this many"), 9)
    expect(status).to_contain_text("not recorded; the nearest that is: head 8")
    expect(choice.locator("option:checked")).to_have_text("head 8")
    expect(page.get_by_label("same positions in every segment")).to_be_disabled()
    page.get_by_role("button", name="every", exact=True).click()
    assert page.heard == []
    page.close()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_it_fits_and_reads_well_in_every_size_and_theme(browser, live, width, scheme):
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = opened(browser, live, **options)
    page.get_by_role("button", name="tail", exact=True).click()
    expect(page.locator(".te-status")).to_contain_text("answered in")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    picture(page, f"grid-{scheme}-{width}")
    assert not serious_findings(page)
    page.close()
