"""Every case of ``tempo bench`` at its smallest: it runs, and both sides compute the same."""

import json
import subprocess

import pytest

from tempo_lib.bench import release
from tempo_lib.bench.cases import startup
from tempo_lib.bench.harness import Setting, case_names
from tempo_lib.bench.questions import film_of
from tempo_lib.bench.report import run_case, table

SIZES = {"seconds": 4.0, "height": 72, "width": 128, "most": 32, "num_questions": 2}
# kernels of another shape sum in another order; of pixels and texts nothing differs
MOST = {"second-question": 1e-5, "first-question": 1e-5, "growth": 1e-5, "train": 1e-3}


@pytest.mark.parametrize("name", sorted(set(case_names()) - {"startup"}))
def test_a_case_runs_and_both_sides_compute_the_same(name, tiny_tempo):
    document = run_case(name, lambda: tiny_tempo, rounds=1, **SIZES)
    assert document == json.loads(json.dumps(document))
    assert document["max_abs_diff"] <= MOST.get(name, 0.0)
    assert document["ratio"] == document["pairs"][0]["cpu_ratio"]["reference"]["median"] > 0
    assert {"commit", "code", "versions", "threads", "load"} <= document.keys()
    assert len(table(document)) == len(document["pairs"])


def test_a_reference_that_computes_something_else_is_seen(tiny_tempo, monkeypatch):
    rows = release._rows
    monkeypatch.setattr(release, "_rows", lambda *given: rows(*given) + 0.5)
    found = run_case("preprocess", lambda: tiny_tempo, 1, **SIZES)
    assert found["max_abs_diff"] == pytest.approx(0.5)
    found = run_case("second-question", lambda: tiny_tempo, 1, **SIZES)
    assert found["max_abs_diff"] > 1e-4


def test_the_reference_leaves_the_model_as_it_was(tiny_tempo, tmp_path):
    before = tiny_tempo.config.to_dict()
    setting = Setting(folder=tmp_path, load=lambda: tiny_tempo, **SIZES)
    answer = release.ask(tiny_tempo, film_of(setting), "Who?")
    assert len(answer.counts) == 1  # 4 seconds, 8 frames, one segment
    assert tiny_tempo.config.to_dict() == before


def test_start_up_is_of_whole_processes(tiny_tempo, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(startup, "python", lambda *given: started.append(given))
    setting = Setting(folder=tmp_path, load=lambda: tiny_tempo, **SIZES)
    pairs = {pair.label: pair for pair in startup.make(setting)}
    assert list(pairs) == ["help", "ask"]
    for pair in pairs.values():
        for side in pair.sides.values():
            side()
    help_page, eager, ask, alone = started
    assert "torch" not in help_page[0] and "import torch" in eager[0]
    assert ask[1].is_file() and ask[1:] == alone[1:]


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(subprocess.CalledProcessError):
        startup.python("raise SystemExit(3)")
