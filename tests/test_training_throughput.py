"""What the log of a training says of a step: tokens, frames, memory, operations against a peak."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tempo_lib.config import load_preset
from tempo_lib.training.loop import train_stage
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.stages import checkpoint_activations, set_trainable
from tempo_lib.training.throughput import known_peak, make_meter, peak_bytes
from tests.test_training_loop import stage_run
from tests.training_samples import collator, world_samples

ALONE = Ranks(0, 1, torch.device("cpu"), "no")


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_operations_of_a_pass_are_what_torch_counts(make_tiny_tempo, tmp_path, stage):
    """Of one sample, as nothing is padded then; layers are not computed twice."""
    model = make_tiny_tempo()
    for one in (model.compressor.vlm, model.decoder):
        one.set_attn_implementation("eager")  # products that the counter sees on every machine
    numbers = load_preset("tiny").training.stages[stage]
    numbers = numbers.model_copy(update={"activation_checkpointing": False})
    sample = world_samples(tmp_path, stage)[min(stage, 1)]
    batch = collator(model, tmp_path, numbers)([sample])
    meter = make_meter(model, numbers, ALONE, peak=1.0)
    set_trainable(model, numbers)
    checkpoint_activations(model, numbers)
    model.train()
    with FlopCounterMode(display=False) as counter:
        model(**batch).loss.backward()
    assert meter.work(batch)[1] == counter.get_total_flops()


def test_a_batch_is_the_sum_of_its_samples_whatever_is_padded(tiny_tempo, tmp_path):
    numbers = load_preset("tiny").training.stages[1]
    collate = collator(tiny_tempo, tmp_path, numbers)
    meter = make_meter(tiny_tempo, numbers, ALONE, peak=1.0)
    samples = world_samples(tmp_path, 1)  # an image, clips of two lengths, a text
    alone = [meter.work(collate([sample])) for sample in samples]
    assert meter.work(collate(samples)) == tuple(map(sum, zip(*alone, strict=True)))
    text = collate([samples[-1]])
    assert alone[-1][0] == text["input_ids"].numel()
    collate.keeps_in_step = True  # a white image that no row reads
    assert meter.work(collate([samples[-1]])) == alone[-1]
    assert make_meter(tiny_tempo, numbers, ALONE, None).work(text) == (alone[-1][0], 0)


def test_rates_follow_from_counts_and_seconds(tiny_tempo):
    numbers = load_preset("tiny").training.stages[1]
    meter = make_meter(tiny_tempo, numbers, ALONE, peak=0.5)
    rates = meter.rates([(30, 10**12), (10, 10**12)], 12, 8.0, ALONE)
    assert rates.pop("peak_gigabytes") == round(peak_bytes(ALONE.device) / 1e9, 3) > 0.1
    assert rates == {
        "seconds": 8.0,
        "tokens": 40,
        "frames": 12,
        "tokens_per_second": 5.0,
        "frames_per_second": 1.5,
        "mfu": 0.5,
    }


def test_the_log_of_a_training_holds_them(make_tiny_tempo, tmp_path):
    samples = world_samples(tmp_path, 1)
    whole = {"global_batch": len(samples), "batch_segments": None, "batch_samples": None}
    run = stage_run(tmp_path, 1)
    run = replace(run, numbers=run.numbers.model_copy(update=whole))
    (record,) = train_stage(make_tiny_tempo(), samples, run)
    assert "mfu" not in record  # nobody knows a CPU's peak
    assert record["frames"] == 1 + 3 * 8  # an image; clips, the longer one twice, as the stage cuts
    assert record["tokens_per_second"] == pytest.approx(
        record["tokens"] / record["seconds"], rel=0.1
    )


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA H200", 989.5),
        ("NVIDIA H200 NVL", None),
        ("NVIDIA B200", 2250.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA GeForce RTX 4090", 165.0),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("Tesla T4", None),
    ],
)
def test_a_peak_goes_by_the_name_of_the_gpu(name, peak):
    assert known_peak(name) == peak
