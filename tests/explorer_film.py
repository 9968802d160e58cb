"""Film the explorer at work for the README: python tests/explorer_film.py figures/explorer.gif"""

import base64
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from browsers import CHROMIUM, open_explorer, set_slider
from PIL import Image
from playwright.sync_api import sync_playwright

from tempo_lib import Tempo, load_video
from tempo_lib.app.explorer.widget import Explorer
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.world import clips, rendering, scenes
from tempo_lib.miniature.world.questions import all_questions

SEED, NUM_FRAMES = 3, 192
SIZE = {"width": 900, "height": 900}
COLOURS = 64
SETTLED = (  # the film has turned to its second
    "() => { const film = document.querySelector('video');"
    " return !film.seeking && film.readyState >= 3; }"
)


def explorer_data(folder):
    """A drawn clip under two questions, its film in the data itself."""
    story = scenes.make_story(np.random.default_rng(SEED), NUM_FRAMES)
    path = folder / "clip.mp4"
    clips.write_clip(path, rendering.render(story, SEED))
    known = all_questions(story, 4)
    texts = [next(q.text for q in known if q.kind == kind) for kind in ("needle", "global")]
    model, video = Tempo.from_pretrained(find_checkpoint("tiny")), load_video(path)
    data = Explorer(model.open(video), video, texts).data
    film = base64.b64encode(path.read_bytes()).decode()
    data["films"][0]["video"] = f"data:video/mp4;base64,{film}"
    return {**data, "show": [0]}


def scenes_of(page):
    """Pairs: what is done, and how many milliseconds its picture stands."""
    budget = page.get_by_label("budget (tokens)")
    timeline = page.locator(".te-timeline")
    yield lambda: None, 1500
    yield lambda: page.get_by_role("button", name="Compare").click(), 1500
    for tokens in (320, 240, 160, 110, 70):
        yield lambda tokens=tokens: set_slider(budget, tokens), 350
    yield lambda: None, 1000
    yield lambda: page.get_by_label("policy").nth(1).select_option("top-k"), 1500
    for tokens in (110, 160, 240, 320, 384):
        yield lambda tokens=tokens: set_slider(budget, tokens), 350
    yield lambda: page.get_by_label("policy").nth(1).select_option("ata"), 1000
    for key in ("ArrowRight",) * 3 + ("ArrowLeft",) * 3:
        yield lambda key=key: timeline.first.press(key), 500


def main(target):
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = open_explorer(browser, explorer_data(Path(folder)), viewport=SIZE)
        page.wait_for_function("() => document.querySelector('video').readyState >= 2")
        pictures, stands = [], []
        for act, milliseconds in scenes_of(page):
            act()
            page.wait_for_timeout(400)
            page.wait_for_function(SETTLED)
            page.wait_for_timeout(400)  # the player's own signs of waiting fade
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            pictures.append(shot.quantize(COLOURS, dither=Image.Dither.NONE))
            stands.append(milliseconds)
        browser.close()
    first, *others = pictures
    first.save(target, save_all=True, append_images=others, duration=stands, loop=0, optimize=True)
    print(f"{target}: {Path(target).stat().st_size / 2**20:.2f} MiB, {len(pictures)} pictures")


if __name__ == "__main__":
    main(sys.argv[1])
