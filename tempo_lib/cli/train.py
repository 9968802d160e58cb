"""``tempo train``: one stage, or the whole miniature from nothing.

What is finished is kept, an interrupted stage goes on where it stopped.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tempo_lib.checkpoints.loading import check_layout, find_checkpoint
from tempo_lib.cli.errors import InputError, bad_input
from tempo_lib.config import load_preset
from tempo_lib.miniature.pretrain.build import (
    BASES,
    RERANKER,
    Miniature,
    base_seed,
    make_corpus,
    make_stage,
    starting_model,
    train_miniature,
)
from tempo_lib.provenance import project_root
from tempo_lib.training.data import load_manifest, load_samples
from tempo_lib.training.loop import StageRun, train_with_card
from tempo_lib.training.stages import stage_numbers

SHARED_FOLDERS = ("corpora", "frames")  # what a --work folder holds beside bases and stages


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of ``tempo train``; ``stage`` None means all of them."""

    preset: str
    stage: int | None = None
    seed: int = 0
    work: Path | None = None
    from_scratch: bool = False
    resume: bool = True
    manifest: Path | None = None
    data: Path | None = None
    start: str | None = None
    out: Path | None = None
    bases: Path | None = None
    paper_windows: bool = False
    paper_prompt: bool = False
    longer: float = 1.0


def run(options: TrainOptions) -> int:
    """Train what the options ask for and print where it lies."""
    check(options)
    with bad_input():
        preset = load_preset(options.preset)
        stage_numbers(preset, options.stage or 0)
        work = options.work or project_root() / "runs" / preset.name / "train"
        mini = Miniature(
            preset,
            work,
            options.seed,
            options.bases,
            options.paper_windows,
            options.paper_prompt,
            options.longer,
        )
        if options.manifest is None:
            _ = mini.numbers
    if not options.resume:
        clear(mini, options)
    check_seed(mini, makes_bases=options.from_scratch)
    if options.from_scratch:
        last = preset.stages[-1] if options.stage is None else options.stage
        stages = [stage for stage in preset.stages if stage <= last]
        with bad_input():
            folders = train_miniature(mini, stages)
    elif options.manifest is not None and options.stage is not None:
        folders = {options.stage: train_own(mini, options.stage, options)}
    else:
        stage = options.stage or 0
        start = find_start(mini, stage, options.start)
        make_corpus(mini, stage)
        folders = {stage: make_stage(mini, stage, start)}
    for stage, folder in folders.items():
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        facts = f"final loss {card['final_loss']}, {card['steps']} steps, {card['seconds']} s"
        print(f"stage {stage}: {folder} ({facts})")
    return 0


def check(options: TrainOptions) -> None:
    """InputError for options that do not go together."""
    own = {"--manifest": options.manifest, "--data": options.data, "--out": options.out}
    given = [name for name, value in own.items() if value is not None]
    if options.stage is None and not options.from_scratch:
        raise InputError("say which stage: --stage 0..3, or --from-scratch for all of them")
    if options.from_scratch and (given or options.start):
        name = given[0] if given else "--start"
        raise InputError(f"{name} and --from-scratch contradict each other")
    if options.bases and not options.from_scratch:
        raise InputError(
            "--bases goes with --from-scratch: it stands for the base models' training"
        )
    if options.longer <= 0:
        raise InputError(f"--longer is a factor above 0, got {options.longer:g}")
    if given and len(given) < len(own):
        missing = [name for name in own if name not in given]
        raise InputError(f"{given[0]} (own data) needs {' and '.join(missing)} too")


def find_start(mini: Miniature, stage: int, start: str | None) -> Path | None:
    """The checkpoint a stage begins from; None: the base models, put into ``mini.work``.

    Looks at --start, then --work, then at what ``find_checkpoint`` finds, shipped ones included.
    InputError when there is none.
    """
    with bad_input():
        if start is not None:
            check_layout(start)
            return Path(start)
        if stage > 0:
            before = mini.stage(stage - 1)
            if (before / "card.json").is_file():
                return before
            return Path(find_checkpoint(mini.preset, f"stage{stage - 1}"))
        for name in (*BASES, RERANKER):
            if not (mini.folder(name) / "card.json").is_file():
                found = find_checkpoint(mini.preset, name)
                shutil.copytree(found, mini.folder(name), dirs_exist_ok=True)
    return None


def train_own(mini: Miniature, stage: int, options: TrainOptions) -> Path:
    """One stage on the caller's own manifest and data, into ``--out``; a finished one is kept."""
    manifest, data, out = options.manifest, options.data, options.out
    if manifest is None or data is None or out is None:
        raise ValueError("own data needs a manifest, a data root and an output folder")
    if (out / "card.json").is_file():
        return out
    if not manifest.is_file():
        raise InputError(f"no manifest at {manifest}")
    with bad_input():
        samples = load_samples(load_manifest(manifest), stage, data)
    numbers = stage_numbers(mini.preset, stage)
    model = starting_model(mini, stage, find_start(mini, stage, options.start))
    stage_run = StageRun(
        stage=stage,
        numbers=numbers,
        out_dir=out,
        cache_dir=mini.folder("frames"),
        seed=mini.seed,
    )
    train_with_card(model, samples, stage_run, manifest)
    return out


def check_seed(mini: Miniature, makes_bases: bool = True) -> None:
    """InputError when the work folder grew from another seed: its finished parts would be kept.

    Base models that are given, as the shipped ones are to a single stage, keep their own seed.
    """
    made = (*BASES, RERANKER) if makes_bases and mini.bases is None else ()
    seeds = {mini.folder(name) / "card.json": base_seed(mini, name) for name in made}
    seeds |= {mini.stage(stage) / "card.json": mini.seed for stage in mini.preset.stages}
    seeds |= {
        mini.folder("corpora") / f"stage{stage}" / "corpus.json": mini.seed
        for stage in mini.preset.stages
    }
    for path, needed in seeds.items():
        if not path.is_file():
            continue
        seed = json.loads(path.read_text(encoding="utf-8")).get("seed", needed)
        if seed != needed:
            raise InputError(
                f"{path.parent} was made with seed {seed}, not {needed}: "
                "add --fresh, or choose another --work"
            )


def clear(mini: Miniature, options: TrainOptions) -> None:
    """Delete what ``--fresh`` makes again: one stage, or everything in the work folder."""
    if options.stage is not None and not options.from_scratch:
        doomed = [options.out or mini.stage(options.stage)]
    else:
        known = mini.preset.stages
        stages = [s for s in known if options.stage is None or s <= options.stage]
        doomed = [
            *(mini.folder(n) for n in (*BASES, RERANKER, *SHARED_FOLDERS)),
            *map(mini.stage, stages),
        ]
    for folder in doomed:
        if not folder.is_dir():
            continue
        if folder == options.out and not (folder / "losses.jsonl").is_file():
            raise InputError(f"--fresh would delete {folder}, which no training has written")
        print(f"deleting {folder}", file=sys.stderr)
        shutil.rmtree(folder)
