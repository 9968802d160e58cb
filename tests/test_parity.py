"""Parity with the recorded release: every recorded quantity, table row, and the page about them."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tempo_lib import Tempo
from tempo_lib.cli.app import run
from tempo_lib.parity import tables
from tempo_lib.parity.cases import case_rows
from tempo_lib.parity.records import (
    RELEASE_RULE,
    MissingDataError,
    Row,
    TableRow,
    compare,
    find_data,
    load_case,
    load_table,
)
from tempo_lib.parity.report import Report, as_json, as_markdown, make_report


@pytest.fixture(scope="module")
def report(golden_dir):
    return make_report(golden_dir)


@pytest.fixture(scope="module")
def released(golden_dir):
    return Tempo.from_pretrained(golden_dir / "Tempo-tiny", dtype=torch.float32, device="cpu")


def test_every_recorded_quantity_is_within_its_tolerance(report):
    assert len(report.rows) > 70
    assert [row for row in report.rows if not row.ok] == []


def test_every_recorded_table_row_is_equal_or_decided(report):
    assert sum(table.num_rows for table in report.tables) == 1200
    assert [table for table in report.tables if not table.ok] == []


def test_every_recorded_run_has_its_rows(report, golden_dir):
    cases = json.loads((golden_dir / "cases" / "cases.json").read_text())
    wanted = ("decoder embeddings", "logits, first step", "logits, all steps", "greedy ids")
    for name in cases:
        quantities = {row.quantity for row in report.rows if row.case == name}
        for variant in cases[name]["runs"]:
            assert {f"{variant}: {what}" for what in wanted} <= quantities


def test_rows_that_follow_the_release_against_our_default_say_so(report):
    marked = {row.quantity.split(":")[0] for row in report.rows if row.note == RELEASE_RULE}
    assert marked == {"B3", "trunc80"}
    strict = [row for row in report.rows if row.quantity == "B3: our tokens over the budget"]
    assert [row.difference for row in strict] == [0.0]


def test_what_the_release_cuts_is_refused_here(released, golden_dir, monkeypatch):
    case = load_case(golden_dir, "a")
    monkeypatch.setattr(released.config, "max_context", 80)
    with pytest.raises(ValueError, match="prompt of 128 tokens plus 12 new ones exceeds"):
        released.answer(case.video, case.facts["query"], max_new_tokens=12)


def test_a_run_without_allocation_keeps_every_token(released, golden_dir):
    # none is recorded for these clips; a single segment within its budget keeps everything too
    case = load_case(golden_dir, "d")
    case.facts["runs"] = {"nodyn": case.facts["runs"]["B8192"] | {"options": {}, "alloc": None}}
    for key in ("llm_inputs_embeds", "step_logits"):
        case.tensors[f"nodyn.{key}"] = case.tensors[f"B8192.{key}"]
    rows = [row for row in case_rows(released, case) if row.quantity.startswith("nodyn")]
    assert len(rows) == 5 and all(row.ok for row in rows)


@pytest.mark.parametrize(
    ("tensor", "quantity"),
    [
        ("H", "memories H"),
        ("svlm_position_ids", "position ids of real tokens"),
        ("vis_deepstack1_sample", "deepstack 1, every 13th"),
        ("B10.step_logits", "B10: logits, all steps"),
    ],
)
def test_a_record_that_differs_is_found(released, golden_dir, tensor, quantity):
    case = load_case(golden_dir, "d")
    case.tensors[tensor] = case.tensors[tensor] + 1
    bad = {row.quantity for row in case_rows(released, case) if not row.ok}
    assert quantity in bad
    assert len(bad) <= 3  # with its variants: memories in three ways, first step and all steps


def test_a_table_row_that_differs_is_found(golden_dir):
    rows = load_table(golden_dir, "allocation")
    row = next(r for r in rows if r["branch"] == "ideal" and not r["tie_dependent"])
    assert tables.allocation_row(row) == tables.EQUAL
    row["alloc"][0] += 1
    assert tables.allocation_row(row) == tables.UNEXPLAINED
    sample = load_table(golden_dir, "sample_indices")["rows"][0]
    assert tables.training_row(sample) == tables.BY_DECISION
    assert tables.training_row(sample | {"infer": sample["mm_datautils"]}) == tables.UNEXPLAINED


def test_compare_is_never_in_order_on_other_shapes_or_not_a_number():
    assert not compare("x", torch.zeros(2), torch.zeros(3), tolerance=1.0).ok
    assert not compare("x", torch.tensor([torch.nan]), torch.zeros(1), tolerance=1.0).ok
    assert compare("x", torch.zeros(3), torch.full((3,), 0.5), tolerance=0.5).ok
    assert not TableRow("empty", 0, 0).ok


def test_every_decision_is_a_row_of_the_page_of_differences(report, repo_root):
    text = (repo_root / "DIFFERENCES.md").read_text()
    for table in report.tables:
        assert not table.num_by_decision or f"| {table.decision} |" in text, table


def without_differences(page):
    """Rows of a page's tables, the measured differences left out."""
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [[cell for place, cell in enumerate(row) if place != 2 or len(row) != 6] for row in rows]


def test_the_page_holds_the_rows_and_tolerances_of_the_code(report, repo_root):
    page = (repo_root / "PARITY.md").read_text()
    assert without_differences(page) == without_differences(as_markdown(report))
    assert re.search(r"Measured with python [\d.]+, torch [\d.]+", page)
    assert "OUT OF TOLERANCE" not in page


def test_doctor_prints_and_writes_the_report(report, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempo_lib.parity.report.make_report", lambda folder: report)
    page, file = tmp_path / "page.md", tmp_path / "report.json"
    assert run(["doctor", "--parity", "--markdown", str(page), "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "trunc80: greedy ids" in out and out.rstrip().endswith("parity: ok")
    assert page.read_text() == as_markdown(report)
    assert json.loads(file.read_text()) == json.loads(json.dumps(as_json(report)))


def test_doctor_answers_1_when_a_row_is_out_of_tolerance(report, monkeypatch, capsys):
    broken = Report([Row("a", "memories H", 0.5, 1e-5, 3)], report.tables, report.provenance)
    monkeypatch.setattr("tempo_lib.parity.report.make_report", lambda folder: broken)
    assert run(["doctor", "--parity"]) == 1
    out = capsys.readouterr().out
    assert "OUT OF TOLERANCE" in out and "1 rows are not in order" in out


def test_doctor_answers_2_when_records_are_missing_and_says_where_they_are(tmp_path, capsys):
    assert run(["doctor", "--parity", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert str(tmp_path) in message and "tests/data/golden" in message
    assert run(["doctor", "--markdown", str(tmp_path / "x.md")]) == 2
    assert "go with --parity" in capsys.readouterr().err
    assert run(["doctor", "--parity", "--json", str(tmp_path / "no" / "x.json")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_missing_file_of_the_records_is_named(golden_dir, tmp_path):
    shutil.copytree(golden_dir, tmp_path / "golden")
    (tmp_path / "golden" / "cases" / "d.safetensors").unlink()
    with pytest.raises(MissingDataError, match=r"cases/d\.safetensors missing"):
        find_data(tmp_path / "golden")


def test_frames_that_are_not_the_recorded_ones_are_refused(golden_dir, tmp_path):
    (tmp_path / "cases").mkdir()
    cases = json.loads((golden_dir / "cases" / "cases.json").read_text())
    cases["d"]["seed"] += 1
    (tmp_path / "cases" / "cases.json").write_text(json.dumps(cases))
    save_file(load_file(golden_dir / "cases/d.safetensors"), tmp_path / "cases/d.safetensors")
    with pytest.raises(ValueError, match="frames of case d are not the recorded ones"):
        load_case(tmp_path, "d")


def test_the_records_are_small_enough_for_git(golden_dir):
    sizes = [file.stat().st_size for file in golden_dir.rglob("*") if file.is_file()]
    assert max(sizes) < 2_200_000
    assert sum(sizes) < 6_000_000
