"""``tempo audit``: each cause is found, points sum to the gap, lmms-eval's logs are read."""

import json
import re
from dataclasses import replace

import pytest
from allocation_samples import planted

from tempo_lib.cli.app import run
from tempo_lib.evaluation.audit import audit
from tempo_lib.evaluation.records import Failure, open_records
from tempo_lib.evaluation.run_samples import (
    FinishedRun,
    RunError,
    Sample,
    judged_by,
    read_run,
    run_of,
)

FACTS = {"limits": {"budget": 384}, "model": {"weights": "a"}}


def base(number):
    record = planted([0.1 * (number % 10), 0.9, 0.5], f"q-{number}")
    return replace(record, letter="A", question=f"Question {number}?")


def write(folder, records, facts=FACTS):
    kept = open_records(folder, "ata", facts)
    kept.add(records)
    return kept.path


def audited(tmp_path, changed, facts=FACTS):
    """Audit of eight questions against the same with ``changed`` (number -> fields) changed."""
    first = [base(number) for number in range(8)]
    second = [replace(record, **changed.get(i, {})) for i, record in enumerate(first)]
    paths = write(tmp_path / "a", first), write(tmp_path / "b", second, facts)
    return audit(*map(read_run, paths))


@pytest.mark.parametrize(
    ("cause", "fields"),
    [
        ("question", {"question": "Another?", "prediction": "B"}),
        ("frames", {"num_frames": 8, "scores": [0.7, 0.9, 0.5], "counts": [1, 2, 3]}),
        ("scores", {"scores": [0.7, 0.9, 0.5], "prediction": "B"}),
        ("bounds", {"budget": 9, "counts": [3, 3, 3], "tokens_used": 9}),
        ("allocation", {"counts": [3, 3, 3], "tokens_used": 9, "prediction": "B"}),
        ("text", {"prediction": "B", "letter": "B", "correct": False}),
        ("parse", {"letter": "B", "correct": False}),
        ("verdict", {"correct": False}),
    ],
)
def test_the_first_step_that_differs_is_the_cause(tmp_path, cause, fields):
    found = audited(tmp_path, {2: fields})
    (difference,) = found.differences
    assert (difference.cause, difference.question_id, found.equal) == (cause, "q-2", 7)
    assert set(difference.differs) == set(fields)


def test_equal_runs_have_no_difference(tmp_path):
    found = audited(tmp_path, {})
    assert (found.differences, found.facts, found.equal, found.not_compared) == ([], [], 8, ())


def test_scores_that_a_kernel_rounds_otherwise_are_equal(tmp_path):
    near = [0.2 + 1e-6, 0.9, 0.5]
    assert audited(tmp_path, {2: {"scores": near}}).differences == []


def test_causes_are_ranked_and_their_points_are_the_gap(tmp_path):
    wrong = {"prediction": "B", "correct": False}
    changed = {i: {"scores": [0.0, 0.0, 1.0], **wrong} for i in (0, 1, 2)}
    changed |= {3: {"letter": "C", "correct": False}, 4: {"prediction": "same letter"}}
    found = audited(tmp_path, changed)
    assert [(c["cause"], c["questions"], c["points"]) for c in found.causes] == [
        ("scores", 3, -37.5),
        ("parse", 1, -12.5),
        ("text", 1, 0.0),
    ]
    gap = 100 * (found.accuracy_b - found.accuracy_a)
    assert sum(cause["points"] for cause in found.causes) == pytest.approx(gap) == -50


def test_another_rule_of_extraction_changes_letters_and_no_text():
    texts = ("Before the blue circle red star C.", "C")
    right = "Before the blue circle red star C."
    records = [replace(base(n), prediction=text, answer=right) for n, text in enumerate(texts)]
    since, before = (judged_by(rule, run_of("x", records)) for rule in ("ranked", "first-capital"))
    assert [(s.letter, s.correct) for s in since.samples] == [("C", True), ("C", True)]
    assert [(s.letter, s.correct) for s in before.samples] == [("B", False), ("C", True)]
    (difference,) = audit(since, before).differences
    assert (difference.cause, difference.gain, difference.question_id) == ("parse", -1, "q-0")


def test_the_first_five_questions_of_a_cause_are_shown(tmp_path):
    found = audited(tmp_path, {i: {"prediction": "B"} for i in range(7)})
    (cause,) = found.causes
    assert [each["question_id"] for each in cause["first"]] == [f"q-{i}" for i in range(5)]


def test_what_is_missing_or_failed_in_one_run_is_a_cause_of_its_own(tmp_path):
    first = [base(number) for number in range(3)]
    failed = {n: getattr(first[1], n) for n in Failure.__dataclass_fields__ if n != "error"}
    one = write(tmp_path / "a", first)
    other = write(tmp_path / "b", [first[0], Failure(**failed, error="gone"), base(9)])
    found = audit(read_run(one), read_run(other))
    assert {(d.cause, d.question_id) for d in found.differences} == {
        ("error", "q-1"),
        ("missing", "q-2"),
        ("missing", "q-9"),
    }
    assert (found.shared, found.equal) == (1, 1)


def test_facts_that_differ_are_named_by_their_path(tmp_path):
    other = {"limits": {"budget": 60}, "model": {"weights": "a"}, "seed": 0}
    found = audited(tmp_path, {}, other)
    assert found.facts == [("limits.budget", "384", "60"), ("seed", "none", "0")]


def lmms_eval_line(number, text, letter, **more):
    metric = {"question_id": f"q-{number}", "videoID": "v", "pred_answer": letter, "answer": "A"}
    line = {"doc_id": number, "target": "A", "filtered_resps": text}
    return line | {"input": f"Question {number}?", "videomme_perception_score": metric} | more


def test_a_sample_log_of_lmms_eval_is_audited_against_records(tmp_path):
    own = [replace(base(n), prediction="A", answer="A") for n in range(3)]
    lines = [
        lmms_eval_line(0, ["A"], "A"),
        lmms_eval_line(1, "A", "B"),
        lmms_eval_line(2, "B", "B"),
    ]
    log = tmp_path / "20261127_samples_videomme.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = audit(read_run(write(tmp_path / "a", own)), read_run(log))
    assert {(d.cause, d.question_id) for d in found.differences} == {
        ("parse", "q-1"),
        ("text", "q-2"),
    }
    assert (found.equal, found.accuracy_a, found.accuracy_b) == (1, 1.0, 1 / 3)
    assert "scores" in found.not_compared and "counts" in found.not_compared


def test_a_log_without_ids_is_paired_by_the_text_where_it_is_unique(tmp_path):
    line = {"doc_id": 5, "target": "A", "filtered_resps": "A", "lvbench_score": False}
    log = tmp_path / "x_samples_lvbench.jsonl"
    log.write_text(json.dumps(line | {"input": [["Question  1?"]]}) + "\n")
    own = [replace(base(n), prediction="A", answer="A") for n in range(2)]
    found = audit(read_run(write(tmp_path / "a", own)), read_run(log))
    by_cause = {d.cause: d.question_id for d in found.differences}
    assert by_cause["question"] == "q-1"  # two spaces are another prompt
    assert by_cause["missing"] == "q-0"
    twice = [Sample(suite="s", variant="v", question_id=str(i), question="Same?") for i in (0, 1)]
    log_like = [replace(twice[0], question_id="doc-0")]
    pairs = audit(FinishedRun("a", twice, {}), FinishedRun("b", log_like, {}))
    assert [d.cause for d in pairs.differences] == ["missing"] * 3


def test_questions_left_over_are_never_paired_across_variants():
    def run(other, right):
        named = [("ata", True), (other, right)]
        rows = [
            Sample(suite="s", variant=v, question_id=v, question="Same?", correct=c)
            for v, c in named
        ]
        return FinishedRun(other, rows, {})

    found = audit(run("x", True), run("y", False))
    assert (found.shared, found.accuracy_a, found.accuracy_b) == (1, 1.0, 1.0)
    assert [difference.cause for difference in found.differences] == ["missing"] * 2


def test_facts_of_every_suite_are_compared_and_none_across_suites(tmp_path):
    def write_suite(folder, suite, budget):
        kept = open_records(folder / suite, "ata", {"suite": {"seed": 0}, "budget": budget})
        kept.add([replace(base(0), suite=suite)])

    for name, budgets in (("a", (1, 2)), ("b", (9, 2))):
        for suite, budget in zip(("one", "two"), budgets, strict=True):
            write_suite(tmp_path / name, suite, budget)
    found = audit(read_run(tmp_path / "a"), read_run(tmp_path / "b"))
    assert [(path.split(".")[0], a, b) for path, a, b in found.facts] == [("one", "1", "9")]


def test_a_folder_with_two_runs_of_a_variant_is_refused(tmp_path):
    write(tmp_path, [base(0)])
    write(tmp_path, [base(0)], {"seed": 1})
    with pytest.raises(RunError, match="holds two runs of ata on mini-mlvu: name one") as refused:
        read_run(tmp_path)
    assert re.search(r"ata-\w+\.jsonl or ata-\w+\.jsonl; they differ in seed", str(refused.value))


def test_the_command_prints_causes_and_writes_every_difference(tmp_path, capsys):
    first = [base(number) for number in range(8)]
    second = [replace(each, prediction="B", correct=False) for each in first]
    one, other = write(tmp_path / "a", first), write(tmp_path / "b", second)
    out = tmp_path / "gap.json"
    assert run(["audit", str(one.parent), str(other), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "A: 8 answers, 100.0 % right; B: 8, 0.0 %" in printed
    assert "text: 8 questions, -100.0 points (B alone right 0, A alone right 8)" in printed
    assert "  q-0: prediction 'The red star 47.' / 'B' (then correct)" in printed
    document = json.loads(out.read_text())
    assert len(document["differences"]) == 8
    assert document["causes"][0]["cause"] == "text"
    assert run(["audit", str(one), str(one)]) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is no file of records"), ("{}\n", "cannot be read"), ("", "holds no answers")],
)
def test_what_is_no_run_is_bad_input(tmp_path, capsys, content, message):
    path = tmp_path / "ata-0.jsonl"
    if content is not None:
        path.write_text(content)
        path.with_suffix(".json").write_text("{}")
    assert run(["audit", str(path), str(path)]) == 2
    assert message in capsys.readouterr().err
