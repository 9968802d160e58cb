"""What an evaluation runs: each variant with its model, its bounds and the file of its records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# The two modules register their policies.
from tempo_lib.allocation import baselines, extensions  # noqa: F401
from tempo_lib.allocation.policies import POLICIES, Limits, PolicyOptions
from tempo_lib.evaluation.benchmark import BENCHMARKS, WHOLE_ROLE, Benchmark
from tempo_lib.evaluation.native import NATIVE_MODELS, NativeVlm, load_native
from tempo_lib.evaluation.records import (
    RecordFile,
    code_facts,
    compression_digest,
    model_facts,
    open_records,
)
from tempo_lib.evaluation.scorers import SCORERS, Scorer
from tempo_lib.evaluation.variants import TEMPO, Variant, get_variant
from tempo_lib.model.tempo import Tempo

Models = Mapping[str | None, Tempo]  # by checkpoint; None: the model that is evaluated


@dataclass(frozen=True)
class Job:
    """A variant with the model, the bounds and the records that belong to it.

    ``role``: the benchmark's name of the budget, "" for a number. ``compression``: hash of
    what memories come from; jobs that share it share a clip. ``reference``: the job, without
    records, whose tokens a matched variant gets.
    """

    variant: Variant
    model: Tempo
    compression: str
    limits: Limits
    role: str
    seed: int
    kept: RecordFile
    reference: "Job | None" = None
    native: NativeVlm | None = None  # answers in place of the model, whose frames it reads


@dataclass(frozen=True)
class Setting:
    """What all jobs of one evaluation have in common."""

    benchmark: Benchmark
    models: Models
    scorers: Mapping[str, Scorer]
    limits: Limits
    role: str
    seed: int
    folder: Path | None
    natives: Mapping[str, NativeVlm] = field(default_factory=dict)


def find_models(model: Tempo, rows: Sequence[Variant], models: Mapping[str, Tempo]) -> Models:
    """A model for every checkpoint that the variants name."""
    found: dict[str | None, Tempo] = {None: model}
    found.update(models)
    for row in rows:
        if row.checkpoint is None or row.checkpoint in found:
            continue
        folder = Path(model.name_or_path).parent / row.checkpoint
        if not model.name_or_path or not (folder / "config.json").is_file():
            where = model.name_or_path or "a model that was made in memory"
            raise ValueError(
                f"variant {row.name!r} needs checkpoint {row.checkpoint}, which does not lie "
                f"beside {where}; train that stage, or pass models={{{row.checkpoint!r}: ...}}"
            )
        found[row.checkpoint] = Tempo.from_pretrained(folder, device=model.device.type)
    return found


def find_scorers(
    model: Tempo, rows: Sequence[Variant], scorers: Mapping[str, Scorer]
) -> dict[str, Scorer]:
    """A scorer for every source of scores that the variants name, Tempo itself apart."""
    found = dict(scorers)
    for row in rows:
        if row.score_source != TEMPO and row.score_source not in found:
            found[row.score_source] = SCORERS.get(row.score_source)(model)
    return found


def find_natives(
    model: Tempo, rows: Sequence[Variant], natives: Mapping[str, NativeVlm]
) -> dict[str, NativeVlm]:
    """Every native model that the variants name."""
    found = dict(natives)
    for row in rows:
        if row.native is not None and row.native not in found:
            found[row.native] = load_native(row.native, model)
    return found


def make_jobs(setting: Setting, rows: Sequence[Variant]) -> list[Job]:
    """One job per variant; matched variants share the job of their reference."""
    references = {row.match: get_variant(row.match) for row in rows if row.match is not None}
    used = {row.checkpoint for row in (*rows, *references.values())}
    facts_of = {name: model_facts(setting.models[name]) for name in used}
    compression = {name: compression_digest(setting.models[name]) for name in used}

    def job(row: Variant, folder: Path | None, reference: Job | None = None) -> Job:
        model = setting.models[row.checkpoint]
        limits, role = _limits(setting, row, model), _role(setting, row)
        seed = _seed(setting, row)
        own: dict[str, Any] = {"variant": asdict(row), "limits": asdict(limits), "seed": seed}
        own["budget_role"] = role
        own |= {"model": facts_of[row.checkpoint], **_data_and_code(setting.benchmark, row)}
        if row.score_source != TEMPO:
            own["scorer"] = setting.scorers[row.score_source].weights
        if reference is not None:
            own["reference"] = reference.kept.facts
        native, read_by = None, compression[row.checkpoint]
        if row.native is not None:
            native = setting.natives[row.native]
            own["native"] = read_by = native.weights
        kept = open_records(folder, row.name, own)
        return Job(row, model, read_by, limits, role, seed, kept, reference, native)

    matched_to = {name: job(row, None) for name, row in references.items()}
    return [
        job(row, setting.folder, None if row.match is None else matched_to[row.match])
        for row in rows
    ]


def policy_options(row: Variant) -> PolicyOptions:
    """What the variant changes of its policy; a matched one leaves no token over."""
    return PolicyOptions(
        drop_ratio=row.drop_ratio, fixed_share=row.fixed_share, use_all=row.match is not None
    )


def effective_limits(
    variant: Variant, limits: Limits, max_segments: int, benchmark: Benchmark | None = None
) -> Limits:
    """The bounds that hold for ``variant``: its own k_min and budget, and for ``full`` all tokens.

    ``max_segments``: of the longest video that the preset reads. At the paper's scale 128
    segments x 128 tokens are its 16K budget. ``benchmark``: has the budgets that a variant names.
    """
    k_min = limits.k_min if variant.k_min is None else variant.k_min
    budget = limits.budget
    if isinstance(variant.budget, int):
        budget = variant.budget
    elif variant.budget is not None and benchmark is not None:
        budget = benchmark.tokens(variant.budget)
    if variant.allocation == "full" and variant.match is None:
        budget = max_segments * limits.k_max
    return Limits(budget, k_min, limits.k_max)


def frames_read(variant: Variant, limits: Limits, num_frames: int, window: int) -> int:
    """Frames that the variant reads of ``num_frames``: up to its cap, or as few as fit.

    ``fewer_frames`` keeps whole segments of k_max tokens; matched, one more segment shares the
    tokens that would be left over.
    """
    most = num_frames if variant.max_frames is None else min(num_frames, variant.max_frames)
    if not variant.fewer_frames:
        return most
    if variant.match is None:
        return min(most, baselines.uniform_max_frames(limits.budget, limits.k_max, window))
    return min(most, max(1, -(-limits.budget // limits.k_max)) * window)


def _limits(setting: Setting, row: Variant, model: Tempo) -> Limits:
    numbers = model.config.video_numbers
    most_segments = -(-numbers.max_frames // numbers.stride)
    return effective_limits(row, setting.limits, most_segments, setting.benchmark)


def _role(setting: Setting, row: Variant) -> str:
    """The benchmark's name of the variant's budget; "" for a number, such as ATA's own tokens."""
    if row.match is not None or isinstance(row.budget, int):
        return ""
    if row.allocation == "full":
        return WHOLE_ROLE
    return row.budget or setting.role


def _seed(setting: Setting, row: Variant) -> int:
    """The evaluation's seed, or 0 for our policies that draw nothing: their records serve any."""
    is_ours = POLICIES.get(row.allocation).__module__.startswith("tempo_lib.")
    return 0 if is_ours and row.allocation != "random-drop" else setting.seed


def _data_and_code(benchmark: Benchmark, row: Variant) -> dict[str, Any]:
    """The questions, and the code that answers depend on: plug-ins that the row uses included."""
    plugins = [BENCHMARKS.source_file(benchmark.name), POLICIES.source_file(row.allocation)]
    if row.score_source in SCORERS:
        plugins.append(SCORERS.source_file(row.score_source))
    if row.native in NATIVE_MODELS:
        plugins.append(NATIVE_MODELS.source_file(str(row.native)))
    identity = {"seed": benchmark.world_seed, "identity": benchmark.identity}
    salvaged = {"salvage": True} if benchmark.reading.salvage else {}  # safe changes no answer
    return {"suite": {"name": benchmark.name, **identity}, **salvaged, **code_facts(*plugins)}
