"""The steps of a stage for one rank, from samples at hand or from an index."""

from collections.abc import Sequence

from tempo_lib.model.tempo import Tempo
from tempo_lib.training.collate import Collator
from tempo_lib.training.feed import Feed
from tempo_lib.training.frames import FrameStore, without_broken
from tempo_lib.training.index import Index
from tempo_lib.training.progress import write_skipped
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.run import StageRun
from tempo_lib.training.sampler import Neighbours


def make_feed(model: Tempo, samples: Sequence[Sample], run: StageRun, ranks: Ranks) -> Feed:
    """The steps of the stage, for this rank; of an index, media are decoded when their step comes.

    TrainingError for a sample that is longer than the stage's context.
    """
    if isinstance(samples, Index):
        return stream_feed(model, samples, run, ranks)
    return held_feed(model, samples, run, ranks)


def held_feed(model: Tempo, samples: Sequence[Sample], run: StageRun, ranks: Ranks) -> Feed:
    """All media decoded once and kept.

    Samples with broken media are left out and said; TrainingError past the run's share of them.
    """
    collate = make_collator(model, run, ranks, is_kept=True)
    broken = collate.store.prepare(samples)
    shown = without_broken(samples, broken, run.most_broken)
    write_skipped(run.out_dir, len(samples) - len(shown), broken, ranks.is_main)
    collate.check_lengths(shown)
    return Feed(shown, collate, run.numbers, run.seed, ranks, loader=run.loader)


def stream_feed(model: Tempo, index: Index, run: StageRun, ranks: Ranks) -> Feed:
    """Nothing decoded yet: sizes come from the index, and what cannot be read is replaced."""
    if run.safe and index.has_parts:
        raise TrainingError("--safe reads whole files, but records have start or end: leave it out")
    write_skipped(run.out_dir, 0, {}, ranks.is_main)  # those of another training
    numbers, shape = run.numbers, model.patch_shape
    config = model.config
    sizes = index.sizes(numbers, config.video_numbers, config.pixel_rules, shape)
    collate = make_collator(model, run, ranks, is_kept=False)
    index.check_lengths(sizes, collate)
    neighbours = Neighbours(index.column("source"), sizes.loads)
    order = index.order()
    return Feed(index, collate, numbers, run.seed, ranks, sizes, run.loader, neighbours, order)


def make_collator(model: Tempo, run: StageRun, ranks: Ranks, is_kept: bool) -> Collator:
    """Samples to tensors; ``is_kept``: decoded media stay, in memory and on disk."""
    numbers = run.numbers
    folder = run.cache_dir if is_kept else None
    store = FrameStore(model, model.config.video_numbers, numbers.max_frames, folder, run.safe)
    return Collator(
        model,
        store,
        numbers.window,
        numbers.max_context,
        numbers.varied_prompt_share,
        run.seed,
        keeps_in_step=ranks.num_ranks > 1,
        labels=run.labels,
    )
