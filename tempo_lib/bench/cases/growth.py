"""How cost grows with frames, questions and budget."""

from collections.abc import Iterator
from functools import partial
from itertools import takewhile

from tempo_lib.bench import predicted, release
from tempo_lib.bench.film import frames
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import FIRST, difference
from tempo_lib.model.compressor import SegmentMemories
from tempo_lib.model.tempo import Tempo
from tempo_lib.video.clip import Video

SIDE = 128  # pixels: decoding and shrinking are other cases
FRAMES = (64, 128, 256, 512, 1024, 2048)
QUESTIONS = (1, 2, 4, 8, 16)
SHARES = (0.125, 0.25, 0.5, 0.75)  # of what the segments hold: the paper's 2K to 12K
BUDGET_FRAMES = 512  # most of the clip whose budget grows


def make(setting: Setting) -> Iterator[Pair]:
    """The reference compresses anew for each question and each budget."""
    model = setting.model
    sizes = list(takewhile(lambda size: size <= setting.most, FRAMES)) or [setting.most]
    whole = Video(frames(sizes[-1], SIDE, SIDE), 2.0)
    clips = {size: Video(whole.frames[:size], 2.0) for size in sizes}
    counts = list(takewhile(lambda number: number <= setting.num_questions, QUESTIONS))
    given = [("frames", size, clip, 1) for size, clip in clips.items()]
    given += [("questions", count, clips[sizes[0]], count) for count in counts]
    for axis, size, clip, count in given:
        yield Pair(
            label=f"{size} {axis}",
            axis=axis,
            size=size,
            sides={
                "ours": partial(ask_all, model, clip, count),
                "reference": partial(reference_all, model, clip, count),
            },
            difference=partial(apart, model, clip) if axis == "frames" else None,
            predicted=partial(expected, model, clip, count),
            warm=size == sizes[0],  # what loads at its first use
        )
    yield from budgets(model, clips[max(size for size in sizes if size <= BUDGET_FRAMES)])


def budgets(model: Tempo, clip: Video) -> Iterator[Pair]:
    """One compression for all budgets, against one for each.

    Every segment keeps as many tokens as the others: ATA may leave most of a budget unused.
    """
    made = compressed(model, clip)
    for share in SHARES:
        k = round(share * model.config.k_max)
        budget = k * len(made.scores)
        yield Pair(
            label=f"budget {budget}",
            axis="budget",
            size=budget,
            sides={
                "ours": partial(model.decode, made, FIRST, adaptive=False, k_max=k),
                "reference": partial(decode_anew, model, clip, k),
            },
            predicted=partial(predicted.of_answer, model, made, k),
            warm=share == SHARES[0],
        )


def ask_all(model: Tempo, clip: Video, count: int) -> None:
    """``count`` questions in one session."""
    session = model.open(clip, keep_prefix=count > 1)
    for number in range(count):
        session.ask(f"{FIRST} ({number})")


def reference_all(model: Tempo, clip: Video, count: int) -> None:
    """Each question as if it were the only one."""
    for number in range(count):
        question = f"{FIRST} ({number})"
        made = release.compress(model, release.read_pixels(clip, model), question)
        model.decode(made, question)


def decode_anew(model: Tempo, clip: Video, k: int) -> None:
    """One budget as if it were the only one."""
    model.decode(compressed(model, clip), FIRST, adaptive=False, k_max=k)


def compressed(model: Tempo, clip: Video) -> SegmentMemories:
    """Memories by the reference's pass."""
    return release.compress(model, release.read_pixels(clip, model), FIRST)


def expected(model: Tempo, clip: Video, count: int) -> dict[str, float]:
    """What the cost model says of ``ask_all``."""
    session = model.open(clip, keep_prefix=False)
    return dict(predicted.of_questions(model, session, session.compress(FIRST), count))


def apart(model: Tempo, clip: Video) -> float:
    """Difference of memories and scores."""
    return difference(model.compress(clip, FIRST), compressed(model, clip))
