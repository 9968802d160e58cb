"""Every case of ``tempo bench`` at its smallest: it runs, and both sides compute the same."""

import json
import subprocess

import pytest
from torch.utils.flop_counter import FlopCounterMode

from tempo_lib.bench import predicted, release
from tempo_lib.bench.cases import growth, startup
from tempo_lib.bench.film import frames
from tempo_lib.bench.harness import Setting, case_names
from tempo_lib.bench.mid import mid_model
from tempo_lib.bench.questions import FIRST, film_of
from tempo_lib.bench.report import run_case, table
from tempo_lib.video.clip import Video

SIZES = {"seconds": 4.0, "height": 72, "width": 128, "most": 32, "num_questions": 2}
# kernels of another shape sum in another order; of pixels and texts nothing differs
MOST = {
    "long-video": 1e-5,
    "second-question": 1e-5,
    "first-question": 1e-5,
    "growth": 1e-5,
    "train": 1e-3,
}


@pytest.mark.parametrize("name", sorted(set(case_names()) - {"startup"}))
def test_a_case_runs_and_both_sides_compute_the_same(name, tiny_tempo):
    sizes = {**SIZES, "seconds": 0.5} if name == "long-video" else SIZES  # 1, 1 and 3 minutes
    document = run_case(name, lambda: tiny_tempo, rounds=1, **sizes)
    assert document == json.loads(json.dumps(document))
    assert document["max_abs_diff"] <= MOST.get(name, 0.0)
    assert document["ratio"] == document["pairs"][0]["cpu_ratio"]["reference"]["median"] > 0
    assert {"commit", "code", "versions", "threads", "load"} <= document.keys()
    assert len(table(document)) == len(document["pairs"])


def test_growth_stands_beside_what_the_cost_model_says(tiny_tempo, tmp_path):
    setting = Setting(folder=tmp_path, load=lambda: tiny_tempo, **{**SIZES, "most": 128})
    said = {pair.label: pair.predicted() for pair in growth.make(setting)}
    of = {label: one["operations"] for label, one in said.items()}
    # twice the segments: twice the reading, and a longer prompt for the decoder
    assert 1.8 * of["64 frames"] < of["128 frames"] < 2.2 * of["64 frames"]
    assert of["64 frames"] == of["1 questions"] < of["2 questions"] < 1.5 * of["1 questions"]
    held = {label: one.get("megabytes") for label, one in said.items()}
    assert held["128 frames"] == 2 * held["64 frames"] > 0 and held["budget 64"] is None


def test_the_count_of_the_cost_model_is_that_of_torch(fresh_tiny_tempo):
    tiny_tempo = fresh_tiny_tempo
    for one in (tiny_tempo.compressor.vlm, tiny_tempo.decoder):
        one.set_attn_implementation("eager")  # plain products: the counter sees no fused ones
    session = tiny_tempo.open(Video(frames(16, 128, 128), 2.0), keep_prefix=False)
    with FlopCounterMode(display=False) as counter:
        made = session.compress(FIRST)
    answer = predicted.of_answer(tiny_tempo, made, None)["operations"]
    said = predicted.of_questions(tiny_tempo, session, made, 1)["operations"] - answer
    assert said == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_the_middle_size_is_another_model_of_the_same_classes():
    model = mid_model()
    assert 40e6 < sum(one.numel() for one in model.parameters()) < 50e6
    assert predicted.shapes(model).model.decoder.hidden_size == 512
    answer = model.answer(Video(frames(16, 128, 128), 2.0), FIRST, max_new_tokens=2)
    assert len(answer.scores) == 2 and len(answer.token_ids) == 2


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
