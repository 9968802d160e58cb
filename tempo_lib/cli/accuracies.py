"""What ``tempo evaluate`` writes and prints: accuracies of variants, overall and by group."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.cli.common import Loaded, screen

if TYPE_CHECKING:
    from tempo_lib.config import Preset
    from tempo_lib.evaluation.benchmark import Benchmark
    from tempo_lib.evaluation.records import Record
    from tempo_lib.evaluation.runner import Evaluated
    from tempo_lib.evaluation.variants import Variant


def checkpoint_folder(variant: "Variant", loaded: Loaded) -> Path:
    """The checkpoint of a variant: the loaded one, or the other stage's folder beside it."""
    folder = Path(loaded.checkpoint)
    return folder if variant.checkpoint is None else folder.parent / variant.checkpoint


def result(
    done: "Evaluated",
    data: "Benchmark",
    variant: "Variant",
    loaded: Loaded,
    preset: "Preset",
    digests: dict[str, str],
) -> dict[str, Any]:
    """What ``--out`` holds of one variant; ``budget`` is the mean where it is matched.

    ``digests``: of checkpoints by folder; extended here, so that each is hashed once per command.
    """
    from tempo_lib.checkpoints.folders import checkpoint_digest
    from tempo_lib.evaluation.runner import frame_of
    from tempo_lib.fingerprint import library_versions
    from tempo_lib.statistics.summaries import summary

    records = [record for record in done.records if record.variant == variant.name]
    frame = frame_of(records)
    checkpoint = str(checkpoint_folder(variant, loaded))
    budgets = frame["budget"]
    if checkpoint not in digests:
        digests[checkpoint] = checkpoint_digest(checkpoint)
    return {
        "suite": data.name,
        "variant": variant.name,
        **summary(frame, over=data.mean_over),
        **({"per_tag": per_tag(records)} if any(record.tags for record in records) else {}),
        "errors": sum(failure.variant == variant.name for failure in done.failures),
        "budget": int(budgets.iloc[0]) if variant.match is None else float(budgets.mean()),
        "budget_role": records[0].budget_role,
        "budget_binds": float(frame["budget_bound"].mean()),
        "matched_to": variant.match,
        "preset": data.preset,
        "overrides": preset.overrides,
        "world_seed": data.world_seed,
        "stand_in": data.is_stand_in,
        "data_hash": data.data_hash,
        "checkpoint": checkpoint,
        "checkpoint_sha256": digests[checkpoint],
        "versions": library_versions(),
    }


def per_tag(records: "Sequence[Record]") -> dict[str, Any]:
    """Accuracy by each further name that the benchmark breaks down by, as in ``per_type``."""
    from tempo_lib.evaluation.runner import frame_of
    from tempo_lib.statistics.summaries import summarise

    found: dict[str, Any] = {}
    for name in sorted({name for record in records for name in record.tags}):
        rows = summarise(frame_of(records, name), [name]).sort_values(name).to_dict("records")
        found[name] = {
            str(row[name]): {
                "n": row["n"],
                "accuracy": row["accuracy"],
                "interval": [row["low"], row["high"]],
            }
            for row in rows
        }
    return found


def print_table(results: list[dict[str, Any]]) -> None:
    """Accuracy in percent with its 95 % interval, overall, by kind of question and by form."""
    from rich.table import Table

    parts = [{**facts["per_type"], **facts["per_form"]} for facts in results]
    kinds = list(dict.fromkeys(kind for part in parts for kind in part))
    shared = results[0]
    title = f"{shared['suite']}, world seed {shared['world_seed']}, accuracy in %"
    if shared["stand_in"]:
        title = f"REHEARSAL on generated videos, no accuracy counts: {title}"
    table = Table(title=title, box=None)
    table.add_column("variant")
    columns = ("n", "errors", "all", "95 %", "by words", "tokens/frame", "budget", "binds")
    for heading in (*columns, *kinds):
        table.add_column(heading, justify="right")
    for facts, part in zip(results, parts, strict=True):
        low, high = facts["interval"]
        row = [facts["variant"], str(facts["n"]), str(facts["errors"])]
        row += [_percent(facts["accuracy"])]
        row += [f"{_percent(low)}-{_percent(high)}", _words(facts["accuracy_by_words"])]
        row += [f"{facts['tokens_per_frame']:.2f}", f"{facts['budget']:.0f}"]
        row += [_percent(facts["budget_binds"])]
        row += [_percent(part[k]["accuracy"]) if k in part else "" for k in kinds]
        table.add_row(*row)
    screen().print(table)


def _words(share: float | None) -> str:
    return "" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
