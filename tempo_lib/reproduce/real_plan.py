"""What the real benchmarks cost before anything runs, and what of them is not on disk yet.

Operations follow from shapes (training/costs.py); everything else from the manifests until the
files are there, and from the assumptions, which the text states.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tempo_lib.checkpoints.folders import is_finished
from tempo_lib.checkpoints.hub import fetch_command
from tempo_lib.config import Preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, benchmark_names
from tempo_lib.evaluation.real.annotations import Annotated, AnnotationError
from tempo_lib.evaluation.real.manifest import edition_of
from tempo_lib.evaluation.real.source import STAND_IN, RealSource, annotation_files, video_file
from tempo_lib.evaluation.variants import TEMPO, Variant
from tempo_lib.provenance import is_rehearsal
from tempo_lib.training.costs import Segments, forward_work
from tempo_lib.training.plan import HOUR, Assumptions, Machine, sample_tokens
from tempo_lib.training.stages import stage_numbers


@dataclass(frozen=True, kw_only=True)
class SuiteCost:
    """One benchmark: what it holds, and what all variants on it cost.

    ``compressions``: of a question's segments under one compressor, prompt and cap of frames.
    ``gigabytes``: of the videos, None where nobody says.
    """

    name: str
    edition: str
    videos: int
    questions: int
    hours: float
    compressions: int
    gpu_hours: float
    decode_core_hours: float
    gigabytes: float | None


def suite_costs(
    preset: Preset, variants: Sequence[Variant], machine: Machine, num_questions: int = 0
) -> list[SuiteCost]:
    """The cost of every benchmark of the preset under these variants.

    ``num_questions``: of each; 0 all. Where there are no annotations yet, the published counts.
    """
    return [
        _suite_cost(preset, source, variants, machine, num_questions)
        for source in real_sources(preset)
    ]


def cost_text(costs: Sequence[SuiteCost], preset: Preset, machine: Machine) -> str:
    """One line per benchmark, the sums, and what was assumed."""
    lines = [
        f"{one.name} ({one.edition}): {one.videos} videos of {one.hours:.0f} hours, "
        f"{one.questions} questions, {one.compressions} compressions, "
        f"{one.gpu_hours:.1f} GPU hours, {one.decode_core_hours:.0f} core hours of decoding, "
        + ("videos of unknown size" if one.gigabytes is None else f"{one.gigabytes:g} GB of videos")
        for one in costs
    ]
    known = [one.gigabytes for one in costs if one.gigabytes is not None]
    unknown = len(costs) - len(known)
    lines.append(
        f"all: {sum(one.videos for one in costs)} videos, "
        f"{sum(one.questions for one in costs)} questions, "
        f"{sum(one.compressions for one in costs)} compressions, "
        f"{sum(one.gpu_hours for one in costs):.0f} GPU hours; weights "
        f"{preset.weights.download_gigabytes:g} GB, videos {sum(known):g} GB"
        + (f" and {unknown} benchmarks of unknown size" if unknown else "")
    )
    lines.append(
        f"assumed: {machine.utilisation:.0%} of {machine.teraflops:g} TFLOP/s, videos as long as "
        "their benchmark's mean, prompts full to the budget, one token per answer"
    )
    return "\n".join(lines)


def missing_data(preset: Preset, root: Path) -> list[str]:
    """Each weight and benchmark that is absent or cannot be used: what it is, where it goes."""
    if is_rehearsal(preset.name):
        found = (root / preset.weights.checkpoint).is_dir()
        absent = [] if found else [f"weights ({preset.weights.checkpoint})"]
    else:
        absent = list(_missing_weights(preset, root))
    for source in real_sources(preset):
        absent += _missing_files(source, source.folder(preset.name), preset)
    return absent


def real_sources(preset: Preset) -> list[RealSource]:
    """The preset's benchmarks that have manifests."""
    known = (BENCHMARKS.get(name) for name in benchmark_names(preset))
    return [source for source in known if isinstance(source, RealSource)]


def _missing_weights(preset: Preset, root: Path) -> Iterable[str]:
    if is_finished(root / "runs" / preset.name / "train" / f"stage{preset.stages[-1]}"):
        return
    weights = preset.weights
    size = f"about {weights.download_gigabytes:g} GB together with its base compressor"
    parts = {"checkpoint": weights.checkpoint, "base compressor": weights.base_compressor}
    for what, name in parts.items():
        command = None if name is None else fetch_command(name)
        if command is not None:
            part = size if what == "checkpoint" else "part of that"
            yield f"{what} {name} ({part}; into the hub's cache: {command})"


def _missing_files(source: RealSource, folder: Path, preset: Preset) -> Iterable[str]:
    title = source.manifest.title
    try:
        questions, refused, _ = source.questions(folder)
    except AnnotationError:
        yield f"benchmark {title} (into data/{source.name})"
        return
    if len(refused) > source.manifest.known_defects:
        yield f"{len(refused)} rows of {title} are no questions, first {refused[0]}"
    is_stand_in = (folder / STAND_IN).is_file()
    if is_stand_in != is_rehearsal(preset.name):
        what = "holds generated videos" if is_stand_in else "holds no stand-in"
        yield f"{title}: {folder} {what}"
    if not any(video_file(source.manifest, folder, q.video) for q in questions):
        yield f"every video of {title} (see `tempo data check {source.name}`)"


def _suite_cost(
    preset: Preset,
    source: RealSource,
    variants: Sequence[Variant],
    machine: Machine,
    num_questions: int,
) -> SuiteCost:
    manifest, folder = source.manifest, source.folder(preset.name)
    published = manifest.editions[0]
    edition, videos, questions = published.name, published.videos, published.questions
    seconds = float(manifest.mean_seconds)
    try:
        annotation_files(manifest, folder)
    except AnnotationError:
        found: list[Annotated] = []
    else:
        found = source.questions(folder)[0][: num_questions or None]
    if found:
        lengths = {q.video: q.seconds or seconds for q in found}
        known = edition_of(manifest, len(found), len(lengths))
        edition = "a part" if known is None else known.name
        videos, questions = len(lengths), len(found)
        seconds = sum(lengths.values()) / videos
    else:
        edition += ", not here yet"
    keys = {
        (row.checkpoint, prompt, row.max_frames) for row in variants for prompt in _prompts(row)
    }
    operations = _operations(preset, seconds, videos, questions, keys, len(variants))
    rate = machine.teraflops * 1e12 * machine.utilisation * HOUR
    return SuiteCost(
        name=source.name,
        edition=edition,
        videos=videos,
        questions=questions,
        hours=videos * seconds / HOUR,
        compressions=questions * len(keys),
        gpu_hours=operations / rate,
        decode_core_hours=videos * seconds * Assumptions().decode_seconds / HOUR,
        gigabytes=0 if is_rehearsal(preset.name) else manifest.gigabytes,  # they are made here
    )


def _prompts(row: Variant) -> set[tuple[str, str]]:
    """Who reads the segments under which prompt."""
    own = {(TEMPO, row.prompt), (row.score_source, row.score_prompt)}
    return {(str(row.native), "")} if row.native is not None else own


def _operations(
    preset: Preset,
    seconds: float,
    videos: int,
    questions: int,
    keys: set[tuple[str | None, tuple[str, str], int | None]],
    num_variants: int,
) -> float:
    """Vision once per video and cap, prefixes once per key, suffixes and decoding per question."""
    given, numbers = Assumptions(), preset.video
    stage = stage_numbers(preset, preset.stages[-1])
    total = 0.0
    vision_seen = set()
    for _, _, cap in keys:
        frames = min(round(seconds * numbers.fps), cap or numbers.max_frames, numbers.max_frames)
        one = stage.model_copy(update={"window": numbers.window, "max_frames": max(1, frames)})
        segments, _ = sample_tokens(preset, one, "videos", given)
        whole = forward_work(preset, segments, 0, 0)
        if cap not in vision_seen:
            vision_seen.add(cap)
            total += videos * whole["vision"].forward
        total += videos * whole["compressor"].forward
        suffix = Segments(segments.count, 0, 0, given.question_tokens)
        total += questions * forward_work(preset, suffix, 0, 0)["compressor"].forward
    count = ceil(min(seconds * numbers.fps, numbers.max_frames) / numbers.window)
    memories = min(preset.allocation.budget, count * preset.allocation.k_max)
    prompt = memories + count * given.timestamp_tokens + given.question_tokens
    decoding = forward_work(preset, Segments(0, 0, 0, 0), prompt, 1)
    total += questions * num_variants * (decoding["decoder"].forward + decoding["head"].forward)
    return total
