"""Curves in a tracker: what it gets, which one is taken, and what a resumed run does."""

import sys
from types import ModuleType
from typing import ClassVar

import pytest
from accelerate import tracking as accelerate_trackers

from tempo_lib.training import loop, trackers
from tempo_lib.training.loop import train_stage
from tempo_lib.training.records import TrainingError
from tests.test_training_loop import stage_run
from tests.training_samples import world_samples


class Writer:
    """Stands for torch.utils.tensorboard's; remembers what it was given."""

    made: ClassVar[list] = []

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.scalars, self.numbers = folder, purge_step, [], {}
        self.is_open = True
        self.made.append(self)

    def add_hparams(self, values, metric_dict):
        self.numbers = values

    def add_scalar(self, name, value, global_step):
        self.scalars.append((name, global_step, value))

    def flush(self):
        pass

    def close(self):
        self.is_open = False


@pytest.fixture
def writers(monkeypatch):
    """Tensorboard as if it were installed."""
    module = ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(Writer, "made", [])
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    kind = accelerate_trackers.LoggerType.TENSORBOARD
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: [kind])
    return Writer.made


def curve(writer, name):
    return [(step, value) for key, step, value in writer.scalars if key == name]


def test_a_tracker_gets_what_the_json_lines_get(make_tiny_tempo, tmp_path, writers):
    run = loop.replace(stage_run(tmp_path, 3), trackers=("auto",))
    records = train_stage(make_tiny_tempo(), world_samples(tmp_path, 1), run)
    (writer,) = writers
    assert curve(writer, "loss") == [(one["step"], one["loss"]) for one in records]
    assert len(curve(writer, "tokens_per_second")) == 3
    assert (writer.numbers["seed"], writer.numbers["max_steps"]) == (0, 3)
    assert writer.folder == str(tmp_path / "out/logs/tempo") and not writer.is_open


def test_a_run_that_goes_on_drops_what_was_shown_after_its_state(
    make_tiny_tempo, tmp_path, writers, monkeypatch
):
    samples, real = world_samples(tmp_path, 1), loop.train_step

    def failing(trainer, step, number):
        if number == 3:
            raise KeyboardInterrupt
        return real(trainer, step, number)

    run = loop.replace(stage_run(tmp_path, 4), trackers=("tensorboard",), save_every=2)
    monkeypatch.setattr(loop, "train_step", failing)
    with pytest.raises(KeyboardInterrupt):
        train_stage(make_tiny_tempo(), samples, run)
    monkeypatch.setattr(loop, "train_step", real)
    train_stage(make_tiny_tempo(), samples, run)
    assert [(one.purge_step, one.is_open) for one in writers] == [(0, False), (2, False)]
    assert [step for step, _ in curve(writers[0], "loss")] == [0, 1, 2]
    assert [step for step, _ in curve(writers[1], "loss")] == [2, 3]


def test_which_trackers_are_taken(monkeypatch, writers):
    assert trackers.tracker_names(["auto"]) == ("tensorboard",)
    assert trackers.tracker_names(["none"]) == ()
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    assert trackers.tracker_names(["auto"]) == ()
    with pytest.raises(TrainingError, match="wandb is not installed: pip install wandb"):
        trackers.tracker_names(["wandb"])
    with pytest.raises(TrainingError, match="unknown tracker 'excel': auto or none, alone"):
        trackers.tracker_names(["excel"])
