"""The picture of a plan says the hours and the gigabytes of its rows."""

import pytest

from tempo_lib.figures.plan import hours_of, training_plan
from tempo_lib.training.plan import Machine

MACHINE = Machine(num_gpus=8, cores_per_gpu=2.0, gigabytes=24.0)
MEMORY = {"weights": 4.0, "gradients": 3.0, "optimiser": 6.0, "gathered": 2.0, "activations": 5.0}
ROWS = [
    {"stage": 0, "gpu_hours": 16.0, "decode_core_hours": 8.0, "gigabytes": MEMORY},
    {"stage": 3, "gpu_hours": 4.0, "decode_core_hours": 64.0, "gigabytes": MEMORY},
]


def test_hours_are_shared_by_gpus_and_by_cores():
    assert hours_of(ROWS[0], MACHINE) == {"computing": 2.0, "decoding": 0.5}
    assert hours_of(ROWS[1], MACHINE) == {"computing": 0.5, "decoding": 4.0}


def test_the_picture_tells_hours_and_gigabytes_of_every_stage():
    fig = training_plan(ROWS, MACHINE, preset="6b")
    assert "stage 0: 2.0 hours of computing, 0.5 of decoding, 20 GB" in fig.alt_text
    assert "stage 3: 0.5 hours of computing, 4.0 of decoding, 20 GB" in fig.alt_text
    left, right = fig.axes
    assert {text.get_text() for text in left.texts} == {"2.0", "0.5", "4.0"}
    assert [text.get_text() for text in right.texts] == ["20.0", "20.0"]
    assert right.lines[0].get_xdata()[0] == 24.0


@pytest.mark.parametrize("kept", [1, 2])
def test_bars_are_as_long_as_their_numbers(kept):
    fig = training_plan(ROWS[:kept], MACHINE)
    widths = [bar.get_width() for bar in fig.axes[1].patches]
    assert sum(widths) == pytest.approx(20.0 * kept)
