"""``tempo audit``: where two runs differ, question by question, and why."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.common import bad_input, check_parent, one_line, screen

if TYPE_CHECKING:
    from tempo_lib.evaluation.audit import Audit

MOST_CHARACTERS = 60  # of one value on the screen


def audit(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The first run.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The second run.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=0.0, help="Scores this close are equal.", show_default="1e-5"
        ),
    ] = None,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write every difference there."),
    ] = None,
) -> int:
    """Name where two runs part: causes by their number, with the first five questions of each.

    A run is a file of records (runs/P/evaluations/SUITE/VARIANT-*.jsonl), a folder of such files,
    or a sample log of lmms-eval (*_samples_*.jsonl). A question's cause is the first step at which
    the runs part: missing, error, question, frames, scores, bounds, allocation, tokens, text,
    parse, verdict. Points are those of accuracy by which B is ahead; they sum to the gap. A field
    that one run does not hold is not compared, and named. Exit code 0 where both runs could be
    read, equal or not.

    Example:

    * tempo audit runs/tiny/evaluations/mini-mlvu/ata-1f.jsonl other/ata-2e.jsonl --json gap.json
    """
    from tempo_lib.evaluation import audit as auditing
    from tempo_lib.evaluation.run_samples import RunError, read_run

    if as_json is not None:
        check_parent("--json", as_json)
    with bad_input(RunError):
        runs = read_run(run_a), read_run(run_b)
    near = auditing.SCORE_TOLERANCE if tolerance is None else tolerance
    found = auditing.audit(*runs, near)
    for line in lines_of(found):
        screen().print(line, markup=False)
    if as_json is not None:
        document = as_document(found, run_a, run_b)
        as_json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def lines_of(found: "Audit") -> list[str]:
    """What is printed: totals, facts that differ, causes with their first questions."""
    lines = [
        f"A: {found.num_a} answers, {_percent(found.accuracy_a)} right; B: {found.num_b}, "
        f"{_percent(found.accuracy_b)} (of the {found.shared} that both have a verdict for)",
        f"{found.equal} questions are equal, {len(found.differences)} differ",
    ]
    if found.not_compared:
        lines.append(f"not compared, as one run does not hold it: {', '.join(found.not_compared)}")
    lines += [f"stated otherwise: {path}: {a} / {b}" for path, a, b in found.facts]
    for cause in found.causes:
        lines.append(
            f"{cause['cause']}: {cause['questions']} questions, {cause['points']:+.1f} points "
            f"(B alone right {cause['b_right_a_wrong']}, A alone right {cause['a_right_b_wrong']})"
        )
        lines += [f"  {_question(each)}" for each in cause["first"]]
    return lines


def as_document(found: "Audit", run_a: Path, run_b: Path) -> dict[str, Any]:
    """What ``--json`` holds: the causes as on the screen, and every difference."""
    return {
        "run_a": str(run_a),
        "run_b": str(run_b),
        "answers": [found.num_a, found.num_b],
        "shared": found.shared,
        "equal": found.equal,
        "accuracy": [found.accuracy_a, found.accuracy_b],
        "not_compared": list(found.not_compared),
        "facts": [{"fact": path, "a": a, "b": b} for path, a, b in found.facts],
        "causes": found.causes,
        "differences": [vars(each) for each in found.differences],
    }


def _question(each: dict[str, Any]) -> str:
    """One question: what differs at the step that is its cause, and what else does."""
    name, *others = each["differs"]
    first, second = each["values"][name]
    more = f" (then {', '.join(others)})" if others else ""
    return f"{each['question_id']}: {name} {_short(first)} / {_short(second)}{more}"


def _short(value: Any) -> str:
    text = one_line(repr(value))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}.."


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"
