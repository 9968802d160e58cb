import json

import pytest

from tempo_lib.cli.app import run
from tempo_lib.config import load_preset
from tempo_lib.training.costs import parameter_counts
from tempo_lib.training.plan import (
    Assumptions,
    Machine,
    Mixture,
    paper_mixtures,
    plan_stage,
    sample_tokens,
)

PAPER = load_preset("6b")
MIXTURES = paper_mixtures()


def planned(stage, gpus=64, preset=PAPER, **machine):
    return plan_stage(
        preset, stage, MIXTURES[stage], Machine(num_gpus=gpus, **machine), Assumptions()
    )


def test_mixtures_are_those_of_table_b():
    assert MIXTURES[1] == Mixture(images=2_000_000, videos=1_380_000, texts=143_000)
    assert MIXTURES[3].total == 384_000


@pytest.mark.parametrize(("stage", "steps"), [(0, 4360), (1, 13762), (2, 25399), (3, 6000)])
def test_steps_are_samples_over_the_global_batch(stage, steps):
    assert planned(stage)["steps"] == planned(stage, gpus=8)["steps"] == steps


def test_more_gpus_share_the_same_work():
    few, many = planned(2, gpus=8), planned(2, gpus=64)
    assert few["gpu_hours"] == many["gpu_hours"]
    assert few["hours"] == pytest.approx(8 * many["hours"])
    assert (few["passes_per_step"], many["passes_per_step"]) == (8, 1)


def test_what_is_sharded_is_counted_once_over_all_gpus():
    """Float32 weights, gradients and two moments of AdamW: 16 bytes per weight that learns."""
    total = sum(parameter_counts(PAPER).values())
    memory = planned(2)["gigabytes"]
    assert 64e9 * sum(memory[n] for n in ("weights", "gradients", "optimiser")) == pytest.approx(
        16 * total
    )
    frozen = planned(3)["gigabytes"]
    assert 64e9 * frozen["gradients"] == pytest.approx(4 * parameter_counts(PAPER)["decoder"])
    assert planned(2, gpus=1)["gigabytes"]["gathered"] == 0


def test_the_limit_is_named():
    assert planned(2)["limit"] == "gpu"
    assert planned(2, cores_per_gpu=4)["limit"] == "decoding"
    assert planned(2, gpus=1)["limit"] == "memory"
    assert planned(2)["decode_cores_per_gpu"] == pytest.approx(7.3, abs=0.1)


def test_keeping_all_activations_costs_memory_and_saves_operations():
    light = PAPER.training.stages[2]
    heavy = load_preset("6b", ["training.stages.2.activation_checkpointing=false"])
    one, other = planned(2), planned(2, preset=heavy)
    assert light.activation_checkpointing
    assert other["gigabytes"]["activations"] > 5 * one["gigabytes"]["activations"]
    assert 0.7 < other["operations"] / one["operations"] < 0.8


@pytest.mark.parametrize(("stage", "positions"), [(1, 327), (2, 4374), (3, 13060)])
def test_decoder_rows_are_as_long_as_real_ones_and_fit(stage, positions):
    """Measured with the real tokenizer on clips of the stage's length, a short question each."""
    numbers = PAPER.training.stages[stage]
    _, found = sample_tokens(PAPER, numbers, "videos", Assumptions())
    assert found == pytest.approx(positions, rel=0.3 if stage == 1 else 0.03)
    assert found < numbers.max_context


def test_the_command_prints_a_row_per_stage_or_everything(capsys):
    assert run(["plan", "--preset", "6b", "--gpus", "8"]) == 0
    out = capsys.readouterr().out
    assert "6,155,507,712 parameters" in out
    assert "25,399" in out
    assert run(["plan", "--gpus", "8", "--stage", "3", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["machine"]["num_gpus"] == 8
    assert [row["steps"] for row in facts["stages"]] == [6000]
    assert facts["assumptions"]["answer_tokens"] == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "7"], "Table B has no stage 7; it has 0, 1, 2, 3"),
        (["--preset", "tiny"], "stage 0 of preset tiny fills its steps by segments"),
        (["--gpus", "0"], "--gpus"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_line(capsys, arguments, message):
    assert run(["plan", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err
