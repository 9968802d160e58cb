"""``tempo bench``: its list, its two numbers, its document, and bad input in one line."""

import json
import sys

import pytest
import torch

from tempo_lib.bench.gpu import suite
from tempo_lib.cli.app import run
from tests.test_cli_app import assert_one_error_line


def test_the_list_names_every_case(capsys):
    assert run(["bench", "--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[0] == "decode" and "second-question" in names and names[-1] == "gpu"


def test_a_case_prints_its_two_numbers_and_writes_its_document(capsys, tmp_path):
    out = tmp_path / "second.json"
    given = ["--rounds", "1", "--seconds", "4", "--out", str(out)]
    assert run(["bench", "second-question", *given]) == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[-2:])
    document = json.loads(out.read_text())
    assert float(printed["ratio"]) == pytest.approx(document["ratio"], rel=1e-3)
    assert float(printed["max_abs_diff"]) == pytest.approx(document["max_abs_diff"], rel=1e-2)
    assert document["max_abs_diff"] <= 1e-5
    assert document["made_by"] == "tempo bench second-question"
    assert document["sizes"]["seconds"] == 4.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], ("name a case; known: decode",)),
        (["third"], ("unknown case 'third'", "gpu")),
        (["decode", "--rounds", "0"], ("--rounds",)),
        (["decode", "--out", "absent/x.json"], ("--out absent/x.json", "does not exist")),
        (["gpu", "--preset", "mid"], ("no GPU suite of preset 'mid'",)),
        (["decode", "--checkpoint", "absent"], ("absent",)),
        (["decode", "--size", "huge"], ("--size huge", "tiny or mid")),
        (["decode", "--size", "mid", "--checkpoint", "x"], ("mid without --checkpoint",)),
    ],
)
def test_bad_input_is_one_line(capsys, given, words):
    assert run(["bench", *given]) == 2
    assert_one_error_line(capsys, *words)


def test_without_a_gpu_the_suite_names_its_rehearsal(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(["bench", "gpu"]) == 2
    assert_one_error_line(capsys, "no GPU here", "--preset tiny")


def test_a_part_that_fails_gives_exit_code_1_and_a_document(capsys, monkeypatch, tmp_path):
    parts = {"device": ("suite", "device_facts"), "absent": ("nowhere", "at_all")}
    monkeypatch.setattr(suite, "PARTS", parts)
    out = tmp_path / "gpu.json"
    assert run(["bench", "gpu", "--preset", "tiny", "--out", str(out)]) == 1
    assert "absent: ModuleNotFoundError" in capsys.readouterr().out
    assert json.loads(out.read_text())["parts"]["device"]["attention"] == "sdpa"


def test_a_missing_library_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    assert run(["bench", "decode", "--rounds", "1", "--seconds", "2"]) == 2
    assert_one_error_line(capsys, "decord is missing: pip install 'tempo-lib[all]'")


def test_the_page_is_written_from_what_is_committed(tmp_path, repo_root):
    assert run(["bench", "--page", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == (repo_root / "BENCHMARKS.md").read_text()
