"""Peak memory of one question about ten minutes, one hour and three hours of film."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tempo_lib.bench import release
from tempo_lib.bench.film import write_long_film
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import FIRST, difference, opened
from tempo_lib.model.tempo import Tempo

MINUTES = {"10 minutes": 10, "1 hour": 60, "3 hours": 180}
MOST = 1024  # sampled frames, the paper's cap; the miniature's own is half of it
FPS = 6.0  # enough to sample from


def make(setting: Setting) -> Iterator[Pair]:
    """From the file, as ``tempo ask``. One round: memory does not depend on who else computes."""
    model, before = setting.model, setting.model.config.video
    model.config.video = {**before, "max_frames": MOST}
    try:
        for label, minutes in MINUTES.items():
            length = 60.0 * minutes * setting.seconds / 32.0  # shorter where all films are
            sides = (setting.height // 2, setting.width // 2)
            path = write_long_film(setting.folder / f"{minutes}-minutes.mp4", length, *sides, FPS)
            yield Pair(
                label=label,
                sides={
                    "ours": partial(one_question, model, path),
                    "reference": partial(release.ask, model, path, FIRST),
                },
                difference=partial(apart, model, path)
                if minutes == min(MINUTES.values())
                else None,
                rounds=1,
                warm=False,
            )
    finally:
        model.config.video = before


def one_question(model: Tempo, path: Path) -> None:
    """Nothing is kept for a second one."""
    opened(model, path, keep_prefix=False).ask(FIRST)


def apart(model: Tempo, path: Path) -> float:
    """Difference of memories and scores."""
    segments = release.read_pixels(release.read_frames(path, model), model)
    theirs = release.compress(model, segments, FIRST)
    return difference(opened(model, path, keep_prefix=False).compress(FIRST), theirs)
