"""A further question about a film that is open, against the release's: all from the file."""

from collections.abc import Iterator

from tempo_lib.bench import release
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import FIRST, SECOND, difference, film_of, opened


def make(setting: Setting) -> Iterator[Pair]:
    """Ours costs the suffix and the decoder; ``first``: our own first question, from the file."""
    model, path = setting.model, film_of(setting)
    session = opened(model, path)
    session.ask(FIRST)

    def apart() -> float:
        segments = release.read_pixels(release.read_frames(path, model), model)
        return difference(session.compress(SECOND), release.compress(model, segments, SECOND))

    yield Pair(
        label="",
        sides={
            "ours": lambda: session.ask(SECOND),
            "reference": lambda: release.ask(model, path, SECOND),
            "first": lambda: opened(model, path).ask(FIRST),
        },
        difference=apart,
    )
