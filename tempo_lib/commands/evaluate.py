"""``tempo evaluate``: variants on a suite, as a table on screen and a JSON file."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from tempo_lib.checkpoints import check_layout, checkpoint_digest
from tempo_lib.commands.errors import InputError, bad_input
from tempo_lib.commands.loading import Loaded, load_model
from tempo_lib.commands.show import screen
from tempo_lib.evaluation.metrics import summary
from tempo_lib.evaluation.runner import MAIN_CHECKPOINT, evaluate
from tempo_lib.evaluation.suites import SUITES, Suite, load_suite, suite_numbers
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.presets import load_preset
from tempo_lib.runs import library_versions


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of ``tempo evaluate``; None takes the checkpoint's own number."""

    preset: str
    suite: str
    variants: tuple[str, ...]
    budget: int | None = None
    world_seed: int = 0
    num_questions: int = 0
    checkpoint: str | None = None
    out: Path | None = None


def run(options: EvaluateOptions) -> int:
    """Evaluate every variant on the same questions, print a table, write ``--out``."""
    variants = check(options)
    with redirect_stdout(sys.stderr):
        loaded = load_model(options.preset, options.checkpoint)
        folders = checkpoint_folders(variants, loaded, options)
        suite = load_suite(options.preset, options.suite, options.world_seed, options.num_questions)
        frame = evaluate(loaded.model, suite, variants, budget=options.budget)
    results = [
        result(frame[frame["variant"] == variant.name], suite, folders[variant.name])
        for variant in variants
    ]
    print_table(results, suite)
    if options.out is not None:
        document = results[0] if len(results) == 1 else results
        options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {options.out}", file=sys.stderr)
    return 0


def check(options: EvaluateOptions) -> list[Variant]:
    """The variants asked for; InputError for whatever would stop the run later."""
    with bad_input():
        suite_numbers(load_preset(options.preset))
        variants = [get_variant(name) for name in dict.fromkeys(options.variants)]
    if options.suite not in SUITES:
        raise InputError(f"unknown suite {options.suite!r}; known suites: {', '.join(SUITES)}")
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: the folder {options.out.parent} does not exist")
    return variants


def checkpoint_folders(
    variants: list[Variant], loaded: Loaded, options: EvaluateOptions
) -> dict[str, str]:
    """The checkpoint of each variant: the loaded one, or the other stage's folder beside it.

    InputError where that folder is missing, or the budget holds no whole segment for a variant
    that keeps whole segments of fewer frames.
    """
    folders = {}
    for variant in variants:
        folder = Path(loaded.checkpoint)
        if variant.checkpoint != MAIN_CHECKPOINT:
            folder = folder.parent / variant.checkpoint
            with bad_input(prefix=f"variant {variant.name}: "):
                check_layout(folder.absolute())
        folders[variant.name] = str(folder)
        k_max, budget = loaded.model.config.k_max, options.budget
        if variant.fewer_frames and budget is not None and budget < k_max:
            raise InputError(f"variant {variant.name} needs --budget of at least {k_max}")
    return folders


def result(frame: pd.DataFrame, suite: Suite, checkpoint: str) -> dict[str, Any]:
    """What ``--out`` holds of one variant."""
    return {
        "suite": suite.name,
        "variant": frame["variant"].iloc[0],
        **summary(frame),
        "budget": int(frame["budget"].iloc[0]),
        "preset": suite.preset,
        "world_seed": suite.world_seed,
        "data_hash": suite.data_hash,
        "checkpoint": checkpoint,
        "checkpoint_sha256": checkpoint_digest(checkpoint),
        "versions": library_versions(),
    }


def print_table(results: list[dict[str, Any]], suite: Suite) -> None:
    """Accuracy in percent with its 95 % interval, overall and by kind of question."""
    kinds = list(dict.fromkeys(kind for facts in results for kind in facts["per_type"]))
    table = Table(title=f"{suite.name}, world seed {suite.world_seed}, accuracy in %", box=None)
    table.add_column("variant")
    for heading in ("n", "all", "95 %", "tokens/frame", *kinds):
        table.add_column(heading, justify="right")
    for facts in results:
        low, high = facts["interval"]
        row = [facts["variant"], str(facts["n"]), _percent(facts["accuracy"])]
        row += [f"{_percent(low)}-{_percent(high)}", f"{facts['tokens_per_frame']:.2f}"]
        per_type = facts["per_type"]
        row += [_percent(per_type[k]["accuracy"]) if k in per_type else "" for k in kinds]
        table.add_row(*row)
    screen().print(table)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
