"""Train the miniature under one condition and one seed, and measure its front-loading on the way.

A run starts from the base models: stage 0 of the recipe, then a shortened stage 1, both under the
condition. At some steps, heads and tails answer the same questions about clips that no run has
seen. All runs of a preset read one corpus; the seed draws memory tokens, projector and batches.

Shape suffixes: N segments, K memory tokens, S samples, L decoder tokens, D width.
"""

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from tempo_lib.analysis.condition_data import ConditionData, HeldOut
from tempo_lib.analysis.condition_list import Condition, get_condition
from tempo_lib.analysis.conditions import applied, keep_slots, prepared
from tempo_lib.analysis.front_loading import HEAD, TAIL
from tempo_lib.checkpoints.loading import checkpoint_digest, find_checkpoint
from tempo_lib.config import Preset, StageNumbers
from tempo_lib.evaluation.records import code_facts, digest
from tempo_lib.model.attention import training_attention
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.model.from_base_models import tempo_from_base_models
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import git_state, project_root, sha256_of_file
from tempo_lib.training.loop import StageRun, train_stage
from tempo_lib.training.stages import stage_numbers

if TYPE_CHECKING:
    import pandas as pd

NUM_STEPS = 240  # of stage 1; about half of the recipe's
STAGE0_STEPS = 96  # as many as the recipe's four epochs give
MOMENTS = (0.0, 0.125, 0.25, 0.5, 1.0)  # shares of the steps at which heads and tails are asked
BASES = ("base_compressor", "base_decoder")
EVER = 10_000  # epochs: the number of steps alone ends a stage
FACTS, ANSWERS, LOSSES = "run.json", "answers.csv", "losses.json"
_NAME = re.compile(r"(?P<condition>.+)-seed(?P<seed>\d+)")


@dataclass(frozen=True, kw_only=True)
class ConditionRun:
    """One training: what is changed, which seed, how long, where its record goes."""

    preset: Preset
    condition: Condition
    seed: int
    folder: Path
    num_steps: int = NUM_STEPS
    stage0_steps: int = STAGE0_STEPS

    @property
    def name(self) -> str:
        return f"{self.condition.name}-seed{self.seed}"

    @property
    def record(self) -> Path:
        return self.folder / self.name

    @property
    def moments(self) -> tuple[int, ...]:
        """Steps of stage 1 after which heads and tails are asked, ascending."""
        return tuple(sorted({round(share * self.num_steps) for share in MOMENTS}))


def runs_folder(preset: Preset) -> Path:
    """Where the records of a preset's conditions lie."""
    return project_root() / "runs" / preset.name / "conditions"


def parse_name(name: str) -> tuple[Condition, int]:
    """``bidirectional-seed1`` -> its condition and seed; ValueError for anything else."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"a run is called CONDITION-seedN, as in baseline-seed0; got {name!r}")
    return get_condition(found["condition"]), int(found["seed"])


def run_condition(run: ConditionRun, data: ConditionData) -> Path:
    """Train, measure and write the record; a finished one is kept. Returns its folder.

    ValueError where the record was made from other base models, numbers or steps.
    """
    wanted = run_facts(run, data)
    if (run.record / FACTS).is_file():
        kept = json.loads((run.record / FACTS).read_text(encoding="utf-8"))
        other = [name for name, value in wanted.items() if kept.get(name) != value]
        if other:
            raise ValueError(
                f"{run.record} was made with other {', '.join(other)}; delete it to train again"
            )
        return run.record
    started = time.perf_counter()
    answers, losses = train_and_measure(run, data)
    commit, dirty = git_state(project_root())
    facts = {
        **wanted,
        "moments": list(run.moments),
        "seconds": round(time.perf_counter() - started, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "threads": torch.get_num_threads(),
        "final_loss": round(sum(losses[-12:]) / len(losses[-12:]), 4),
        **_code(),
    }
    run.record.mkdir(parents=True, exist_ok=True)
    answers.to_csv(run.record / ANSWERS, index=False)
    (run.record / LOSSES).write_text(json.dumps(losses) + "\n", encoding="utf-8")
    partial = run.record / f"{FACTS}.partial"
    partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, run.record / FACTS)  # last: it marks the record as complete
    return run.record


def run_facts(run: ConditionRun, data: ConditionData) -> dict[str, Any]:
    """What a record depends on, code aside: a finished record with other facts is not reused."""
    numbers = [_stage(run, stage).model_dump() for stage in (0, 1)]
    found = {name: checkpoint_digest(find_checkpoint(run.preset, name)) for name in BASES}
    return {
        "preset": run.preset.name,
        "condition": asdict(run.condition),
        "seed": run.seed,
        "num_steps": run.num_steps,
        "stage0_steps": run.stage0_steps,
        "bases": found,
        "numbers": digest(numbers),
        "corpora": data.corpora,
        "questions": data.held_out_sha256,
    }


def train_and_measure(run: ConditionRun, data: ConditionData) -> tuple["pd.DataFrame", list[float]]:
    """Answers of heads and tails at every moment, and the losses of stage 1."""
    import pandas as pd

    compressor, decoder = (find_checkpoint(run.preset, name) for name in BASES)
    attention = training_attention()
    model = tempo_from_base_models(compressor, decoder, run.preset, run.seed, attention)
    prepared(model, run.condition, run.seed)
    kept = _Snapshots(model, run.moments)
    with applied(model, run.condition, run.seed), TemporaryDirectory() as scratch:
        _train(model, run, data, 0, Path(scratch))
        with kept:
            losses = _train(model, run, data, 1, Path(scratch))
        kept.take(run.num_steps)
        held_out = data.held_out(model)
        parts = []
        for step in run.moments:
            model.load_state_dict(kept.states[step])
            answers = slice_answers(model.eval(), held_out, run.condition.is_reversed)
            parts.append(answers.assign(step=step))
    named = pd.concat(parts, ignore_index=True)
    return named.assign(condition=run.condition.name, seed=run.seed), losses


def sizes(capacity: int) -> list[int]:
    """The sizes of heads and tails: 1, 2, 4 .. and all ``capacity`` memories."""
    powers = [2**power for power in range(capacity.bit_length()) if 2**power < capacity]
    return [*powers, capacity]


@torch.no_grad()
def slice_answers(
    model: Tempo, held_out: HeldOut, is_reversed: bool = False, ks: Sequence[int] = ()
) -> "pd.DataFrame":
    """One row per (scheme, k, question), as ``slices.slice_answers`` gives for suites.

    Right means: word for word the expected answer, which is what greedy decoding gives exactly
    if every word of it is the likeliest after those before it. So one pass judges a whole batch.
    ``is_reversed``: the model hands its memories over from the last to the first; head is
    always the end that the compressor makes first.
    """
    import pandas as pd

    capacity, rows = model.config.num_memory_tokens, []
    place_K = torch.arange(capacity)
    place_K = place_K.flip(0) if is_reversed else place_K
    for named, batch in held_out.batches():
        vision = model.compressor.encode_vision(batch["pixel_rows"], batch["grid_thw"])
        ids_NL, mask_NL = batch["compressor_ids"], batch["compressor_mask"]
        memories_NKD, _ = model.compressor(vision, ids_NL, mask_NL, batch["grid_thw"])
        for k in ks or sizes(capacity):
            for scheme in (HEAD, TAIL):
                keep_K = place_K < k if scheme == HEAD else place_K >= capacity - k
                right_S = exact_answers(model, batch, memories_NKD, keep_K)
                facts = zip(named, right_S.tolist(), strict=True)
                rows += [{"scheme": scheme, "k": k, **n, "correct": right} for n, right in facts]
    return pd.DataFrame(rows)


def exact_answers(
    model: Tempo, batch: dict[str, torch.Tensor], memories_NKD: torch.Tensor, keep_K: torch.Tensor
) -> torch.Tensor:
    """Which samples (S,) are answered word for word when all segments keep ``keep_K``."""
    keep_NK = keep_K.expand(len(memories_NKD), -1)
    cut = keep_slots(batch, keep_NK.flatten())
    logits_SLW = model.decoder(
        inputs_embeds=model.embed(cut["input_ids"], memories_NKD[keep_NK]),
        attention_mask=cut["attention_mask"],
        use_cache=False,
    ).logits
    wanted_SL = cut["labels"][:, 1:]
    return ((logits_SLW[:, :-1].argmax(-1) == wanted_SL) | (wanted_SL == IGNORE)).all(1)


class _Snapshots:
    """Weights before some of the steps that a model is trained for inside the context."""

    def __init__(self, model: Tempo, steps: Sequence[int]) -> None:
        self.model, self.steps, self.done = model, set(steps), 0
        self.states: dict[int, dict[str, torch.Tensor]] = {}

    def __enter__(self) -> "_Snapshots":
        self.handle = self.model.register_forward_pre_hook(lambda *_: self._count())
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.remove()

    def take(self, step: int) -> None:
        state = self.model.state_dict()
        self.states[step] = {name: value.detach().clone() for name, value in state.items()}

    def _count(self) -> None:
        if self.done in self.steps:
            self.take(self.done)
        self.done += 1


def _train(
    model: Tempo, run: ConditionRun, data: ConditionData, stage: int, scratch: Path
) -> list[float]:
    """One stage of the recipe, shortened; the losses of its steps."""
    stage_run = StageRun(
        stage=stage,
        numbers=_stage(run, stage),
        out_dir=scratch / f"stage{stage}",
        cache_dir=data.frames,
        seed=run.seed,
        save_every=EVER,
    )
    records = train_stage(model, data.samples(stage, run.condition.tasks), stage_run)
    return [round(record["loss"], 5) for record in records]


def _stage(run: ConditionRun, stage: int) -> StageNumbers:
    numbers = stage_numbers(run.preset, stage)
    steps = (run.stage0_steps, run.num_steps)[stage]
    changed: dict[str, Any] = {"max_steps": steps, "epochs": float(EVER)}
    if run.condition.is_decoder_frozen:
        changed["trainable"] = tuple(part for part in numbers.trainable if part != "decoder")
    return numbers.model_copy(update=changed)


def _code() -> dict[str, Any]:
    """Hashes of the code that trains and asks, and versions of the libraries."""
    folder = Path(__file__).parent
    own = [sha256_of_file(path) for path in sorted(folder.glob("condition*.py"))]
    trained = [sha256_of_file(path) for path in sorted((folder.parent / "training").glob("*.py"))]
    return {**code_facts(), "conditions_code": digest([own, trained])}
