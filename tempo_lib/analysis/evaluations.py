"""The answers behind tables, figures and claims: which models and variants, and their records.

A model of training seed 0 is the preset's checkpoint; others are trained by the reader.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib.analysis.evidence import video_end
from tempo_lib.checkpoints.folders import BASE_MODELS, CheckpointError, find_checkpoint, stage_names
from tempo_lib.checkpoints.hub import fetch_command
from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation.benchmark import Benchmark, benchmark_names
from tempo_lib.evaluation.jobs import find_models
from tempo_lib.evaluation.native import NATIVE_MODELS
from tempo_lib.evaluation.ordered import bound_to_order, is_ordered, read_order
from tempo_lib.evaluation.records import Record, compression_digest
from tempo_lib.evaluation.runner import evaluate_records, frame_of
from tempo_lib.evaluation.scorers import check_scorer
from tempo_lib.evaluation.variants import MATCHED, TEMPO, Variant, get_variant, matched_name
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import is_rehearsal, project_root
from tempo_lib.statistics.claims import variants_of_claims
from tempo_lib.statistics.intervals import skewness
from tempo_lib.statistics.summaries import QUESTION, pool_seeds

if TYPE_CHECKING:
    import pandas as pd

ALL_VARIANTS, SHORT_LIST = "all", "short"
_SHORT = ("uniform", "adversarial", "top-k", "head-fixed", "tail-fixed", "prior-tempo-std")
SHORT = ("ata", "tail-dynamic", *_SHORT, "ata-logit", *map(matched_name, (*_SHORT, "ata-logit")))
# These policies use what they are given to the last token; those that share by scores may not.
USE_ALL = ("full", "fixed", "uniform", "random-drop", "adversarial", "top-k")


def seed_checkpoint(preset: Preset | str, seed: int) -> Path | str:
    """Last stage of a training seed: 0 is the preset's checkpoint, s lies in train-seed<s>.

    CheckpointError, with the command that trains it, where there is none.
    """
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    if seed == 0:
        return find_checkpoint(numbers)
    runs = project_root() / "runs" / numbers.name
    folder = runs / f"train-seed{seed}" / stage_names(numbers)[-1]
    if (folder / "card.json").is_file():
        return folder
    home = f"runs/{numbers.name}"
    base_models = (f"--set weights.{part}={home}/train/{part}" for part in sorted(BASE_MODELS))
    command = f"tempo train --from-scratch --seed {seed} --work {home}/train-seed{seed}"
    raise CheckpointError(
        f"no model of training seed {seed} at {folder}; make it with "
        f"`{command} {' '.join(base_models)}`"
    )


def load_models(preset: Preset | str, seeds: Sequence[int]) -> dict[int, Tempo]:
    """Training seed -> its model. All are found before any is loaded.

    ValueError where a preset of real benchmarks has no folder of one: nothing is fetched then.
    """
    if not seeds:
        raise ValueError("model_seeds is empty; name at least one training seed, such as 0")
    numbers = load_preset(preset) if isinstance(preset, str) else preset
    _check_videos(numbers)
    places = {seed: seed_checkpoint(numbers, seed) for seed in seeds}
    return {seed: Tempo.from_pretrained(place) for seed, place in places.items()}


def choose_variants(
    names: Sequence[str], models: Mapping[int, Tempo]
) -> tuple[list[str], dict[str, str]]:
    """Variants to evaluate, and those left out with the part that is missing.

    ``["all"]`` stands for every variant that a claim needs and whose parts are there for every
    model, ``["short"]`` for ``SHORT``; other names are taken as they are. ValueError for an
    unknown name, for none, or for "all" or "short" among others.
    """
    if list(names) == [SHORT_LIST]:
        names = SHORT
    if list(names) != [ALL_VARIANTS]:
        if not names or {ALL_VARIANTS, SHORT_LIST} & set(names):
            raise ValueError(f"variants must be names, or ['all'] or ['short'] alone, got {names}")
        return [get_variant(name).name for name in dict.fromkeys(names)], {}
    return split_by_parts(map(get_variant, variants_of_claims()), models)


def split_by_parts(
    variants: Iterable[Variant], models: Mapping[int, Tempo]
) -> tuple[list[str], dict[str, str]]:
    """Names of the variants that every model can run, and of the others with what is missing."""
    rows = list(dict.fromkeys(variants))
    missing = {row.name: missing_part(row, models.values()) for row in rows}
    lacking = {name: part for name, part in missing.items() if part is not None}
    return [row.name for row in rows if row.name not in lacking], lacking


def missing_part(row: Variant, models: Iterable[Tempo]) -> str | None:
    """What a variant lacks beside one of the models; None when it can run."""
    for model in models:
        folder = Path(model.name_or_path).parent
        if row.checkpoint and not (folder / row.checkpoint / "config.json").is_file():
            return f"checkpoint {row.checkpoint}"
        try:
            if row.score_source != TEMPO:
                check_scorer(row.score_source, model)
        except CheckpointError:
            return f"scores of the {row.score_source}"
        try:
            command = row.native and fetch_command(NATIVE_MODELS.get(row.native)(model))
        except CheckpointError:
            return f"weights of {row.native}"
        if command:
            return f"weights of {row.native} ({command})"
        try:
            if is_ordered(row):
                read_order(model)
        except ValueError:
            return "a learned order of memory positions"
    return None


def answers_of_seeds(
    models: Mapping[int, Tempo],
    suites: Sequence[Benchmark],
    variants: Sequence[str],
    seed: int = 0,
    root: Path | None = None,
    cache: bool = True,
) -> "pd.DataFrame":
    """Every question of every suite under every variant, by every model.

    Columns of ``evaluate`` and model_seed; capacity (tokens that budget and segments allow),
    skewness (of the tokens per segment), duration (where the benchmark groups by it) and
    video_seconds. ``seed`` draws the segments of random-drop. A question that failed in one of the
    answers is left out of all, so that they stay paired: a warning counts them, and
    ``attrs["failed"]`` has their ids by suite. ValueError where a variant has no answer at all.
    """
    import pandas as pd

    options: dict[str, Any] = {"seed": seed, "progress": False, "root": root, "cache": cache}
    frames, failed = {}, {suite.name: set[str]() for suite in suites}
    for model_seed, model in models.items():
        parts = []
        for suite in suites:
            rows, ordered = bound_to_order(model, list(map(get_variant, variants)))
            records = evaluate_records(model, suite, rows, models=ordered, **options)
            failed[suite.name] |= _unanswered(suite, variants, records)
            frame = frame_of(records)  # suite by suite: the lists of all would fill the memory
            room = frame["num_segments"] * model.config.k_max
            shape = [skewness(record.counts) for record in records]
            # Video-MME's own groups are its durations
            long = [record.tags.get("duration", [record.kind])[0] for record in records]
            room = room.clip(upper=frame["budget"])
            ends = [video_end(record.seconds) for record in records]
            more = {"capacity": room, "skewness": shape, "duration": long, "video_seconds": ends}
            parts.append(frame.assign(**more))
        frames[model_seed] = pd.concat(parts, ignore_index=True)
    answers = pool_seeds(frames)
    keys = answers[["suite", "question_id"]].itertuples(index=False, name=None)
    answers = answers[[question not in failed[suite] for suite, question in keys]]
    answers = answers.reset_index(drop=True)
    answers.attrs["failed"] = {name: sorted(ids) for name, ids in failed.items() if ids}
    return answers


def _unanswered(suite: Benchmark, variants: Sequence[str], records: Sequence[Record]) -> set[str]:
    """Ids of the questions that a variant has no record of; ValueError for one without any."""
    found: dict[str, set[str]] = {name: set() for name in variants}
    for record in records:
        found[record.variant].add(record.question_id)
    empty = [name for name, answered in found.items() if not answered]
    if empty:
        raise ValueError(
            f"{suite.name}: every answer of {', '.join(empty)} failed; `tempo evaluate --suite "
            f"{suite.name} --variant {empty[0]}` says why"
        )
    every = {question.id for video in suite.videos for question in video.questions}
    return every - every.intersection(*found.values())


def without_failed(suites: Sequence[Benchmark], answers: "pd.DataFrame") -> list[Benchmark]:
    """The suites without the questions that ``answers_of_seeds`` left out; prints how many."""
    kept = []
    for suite in suites:
        failed = answers.attrs["failed"].get(suite.name, ())
        if failed:
            print(f"{suite.name}: {len(failed)} questions left out, as an answer failed: {failed}")
        videos = [
            replace(video, questions=tuple(q for q in video.questions if q.id not in failed))
            for video in suite.videos
        ]
        kept.append(replace(suite, videos=tuple(videos)))
    return kept


def records_of_seeds(
    models: Mapping[int, Tempo], suites: Sequence[Benchmark], variant: str = "ata", seed: int = 0
) -> dict[int, list[Record]]:
    """Training seed -> records of all suites under one variant; kept ones are read from disk."""
    options: dict[str, Any] = {"seed": seed, "progress": False}
    return {
        model_seed: [
            record
            for suite in suites
            for record in evaluate_records(model, suite, [variant], **options)
        ]
        for model_seed, model in models.items()
    }


def count_compressions(answers: "pd.DataFrame", models: Mapping[int, Tempo]) -> int:
    """How often the compressor reads a question to give these answers, records or none.

    Variants share a compression if compressor, prompt, query, window and frames agree. Scores
    under another prompt than that of the memories take a second one; other scorers are not
    counted. The variant that controls are matched to must be among the answers.
    """
    total = 0
    for model_seed, model in models.items():
        part = answers[answers["model_seed"] == model_seed]
        rows = [get_variant(name) for name in part["variant"].unique()]
        found = find_models(model, rows, {})
        digests = {name: compression_digest(each) for name, each in found.items()}
        keys = part[["suite", "question_id", "num_frames"]]
        read = {
            (digests[row.checkpoint], prompt, row.query, row.window, row.memories_first, *key)
            for row in rows
            for key in keys[part["variant"] == row.name].itertuples(index=False, name=None)
            for prompt in _prompts(row)
        }
        total += len(read)
    return total


def same_questions(frame: "pd.DataFrame") -> bool:
    """Whether every variant has the same questions of the same models, each once."""
    keys = [key for key in QUESTION if key in frame]
    found = {
        frozenset(part[keys].itertuples(index=False, name=None))
        for _, part in frame.groupby("variant")
    }
    return len(found) == 1 and not frame.duplicated(["variant", *keys]).any()


def unused_tokens(frame: "pd.DataFrame") -> "pd.DataFrame":
    """By token-matched control: tokens of ATA that it left (mean, most), and whether it may.

    ``most_over``: how many it took beyond ATA's, which no policy may; ``uses_all``: whether its
    policy can use every token it is given.
    """
    import pandas as pd

    controls = frame[frame["variant"].str.endswith(MATCHED)]
    left = controls["matched_tokens"] - controls["tokens_used"]
    gap = left.groupby(controls["variant"], sort=False)
    table = pd.DataFrame({"mean": gap.mean(), "most": gap.max(), "most_over": -gap.min()})
    exact = [get_variant(name).allocation in USE_ALL for name in table.index]
    return table.assign(uses_all=np.array(exact, dtype=bool))


def _check_videos(preset: Preset) -> None:
    """Before gigabytes of weights are fetched, there must be something to ask about."""
    data, names = project_root() / "data", benchmark_names(preset)
    is_generated = preset.miniature is not None or is_rehearsal(preset.name)
    if not is_generated and not any((data / name).is_dir() for name in names):
        raise ValueError(
            f"preset {preset.name} needs a benchmark in {data} ({', '.join(names)}), and there is "
            "none: see `tempo data`, or use preset tiny"
        )


def _prompts(row: Variant) -> set[str]:
    """Prompts under which the variant's own compressor reads; a native model has none."""
    if row.native is not None:
        return set()
    return {row.prompt, row.score_prompt} if row.score_source == TEMPO else {row.prompt}
