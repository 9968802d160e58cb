"""The only question about a film, from the file to the answer."""

from collections.abc import Iterator

from tempo_lib.bench import release
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import FIRST, difference, film_of, opened


def make(setting: Setting) -> Iterator[Pair]:
    """Nothing is kept for a second one, as ``tempo ask`` does."""
    model, path = setting.model, film_of(setting)

    def apart() -> float:
        segments = release.read_pixels(release.read_frames(path, model), model)
        theirs = release.compress(model, segments, FIRST)
        return difference(opened(model, path, keep_prefix=False).compress(FIRST), theirs)

    yield Pair(
        label="",
        sides={
            "ours": lambda: opened(model, path, keep_prefix=False).ask(FIRST),
            "reference": lambda: release.ask(model, path, FIRST),
        },
        difference=apart,
    )
