"""Steps of stage 2 of the preset: our attention and norms, against those of transformers."""

from collections.abc import Iterator
from functools import partial

from tempo_lib.bench.film import write_film
from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.config import load_preset
from tempo_lib.model.attention import training_attention
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.collate import Collator
from tempo_lib.training.feed import Feed, Step
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.loop import train_step
from tempo_lib.training.ranks import start_ranks
from tempo_lib.training.records import Sample
from tempo_lib.training.run import StageRun, stage_run
from tempo_lib.training.stages import set_trainable
from tempo_lib.training.throughput import make_meter
from tempo_lib.training.trainer import Trainer, make_optimiser, make_trainer

STAGE, NUM_SAMPLES, NUM_STEPS = 2, 16, 2
SIDE = 64


def make(setting: Setting) -> Iterator[Pair]:
    """Both train from the same weights on the same samples; ours changes kernels alone."""
    ours, reference = trainer(setting, is_ours=True), trainer(setting, is_ours=False)
    yield Pair(
        label=f"{NUM_STEPS} steps",
        sides={"ours": partial(train, *ours), "reference": partial(train, *reference)},
        difference=lambda: abs(first_loss(*ours) - first_loss(*reference)),
    )


def trainer(setting: Setting, is_ours: bool) -> tuple[Trainer, Iterator[Step]]:
    """A copy of the model ready to train, and its steps without end."""
    source = setting.model
    preset = load_preset(source.config.preset)
    run = stage_run(
        preset, STAGE, setting.folder / "out", cache_dir=setting.folder / "frames", seed=0
    )
    ranks = start_ranks(run.numbers.precision)
    config = type(source.config).from_dict(source.config.to_dict())
    config._attn_implementation = training_attention() if is_ours else "sdpa"
    model = Tempo(config, source.encoder.tokenizer)
    model.load_state_dict(source.state_dict())
    feed = Feed(samples(setting, run), collator(setting, model, run), run.numbers, run.seed, ranks)
    if is_ours:
        return make_trainer(model, feed, run, 1000), feed.steps(0)
    model.compressor.vlm.visual.config._attn_implementation = "sdpa"
    set_trainable(model, run.numbers)
    meter = make_meter(model, run.numbers, ranks, run.peak_teraflops)
    made = Trainer(model.train(), *make_optimiser(model, run.numbers, 1000), feed, run, meter)
    return made, feed.steps(0)


def samples(setting: Setting, run: StageRun) -> list[Sample]:
    """Questions about one film, which is as long as the stage allows."""
    fps = setting.model.config.video_numbers.fps
    path = setting.folder / "film-training.mp4"
    length = min(setting.seconds, run.numbers.max_frames / fps)
    write_film(path, length, SIDE, SIDE, fps)
    facts = {"media": path, "modality": "video", "answer": "The red star 47.", "window": None}
    texts = [f"Which number is shown with star {i}?" for i in range(NUM_SAMPLES)]
    return [Sample(id=f"s{i}", question=text, **facts) for i, text in enumerate(texts)]  # type: ignore[arg-type]


def collator(setting: Setting, model: Tempo, run: StageRun) -> Collator:
    """Samples to tensors, by the stage's numbers."""
    numbers = run.numbers
    video = model.config.video_numbers
    store = FrameStore(model, video, numbers.max_frames, run.cache_dir)
    return Collator(model, store, numbers.window, numbers.max_context, labels=run.labels)


def first_loss(made: Trainer, feed: Iterator[Step]) -> float:
    """Loss of one pass in float32, with gradients: bf16 rounds where the kernels differ."""
    return float(made.model(**next(next(feed).batches)).loss.detach())


def train(made: Trainer, feed: Iterator[Step]) -> None:
    """``NUM_STEPS`` steps."""
    for number in range(NUM_STEPS):
        train_step(made, next(feed), number)
