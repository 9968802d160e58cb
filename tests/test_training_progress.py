"""States of a training: a kill leaves one whole state, from which only its own run goes on."""

import json
import os
import pkgutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from tempo_lib.training import progress
from tempo_lib.training.loop import train_and_summarise, train_stage
from tempo_lib.training.progress import ResumeError, check_resume, differences, newest_state
from tests.test_training_loop import stage_run
from tests.training_samples import world_samples

STEPS = 4


@pytest.fixture(autouse=True)
def forget_accelerator():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def killed(function):
    """Whether ``function`` ends by SIGKILL, in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            function()
        finally:
            os._exit(3)  # not killed, or an error: neither is what the test wants
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function, place):
    """``function`` until its call number ``place`` has ended, then death."""
    calls = []

    def counted(*arguments, **options):
        result = function(*arguments, **options)
        calls.append(1)
        if len(calls) == place:
            die()
        return result

    return counted


# The function that a kill follows, and the number of its call; the whole training makes STEPS - 1
# states of one step each, a checkpoint and a summary.
MOMENTS = {
    "in the middle of the first save": ("tempo_lib.training.trainer:save_tensors", 1),
    "in the middle of a later save": ("tempo_lib.training.trainer:save_tensors", 3),
    "between the losses and the rename": ("tempo_lib.training.progress:write_losses", 3),
    "after a rename": ("os:replace", 9),
    "while the old state goes": ("shutil:rmtree", 3),
    "in a step": ("tempo_lib.training.loop:train_step", 4),
    "before the checkpoint": ("tempo_lib.training.loop:finish", 0),
    "after the checkpoint": ("tempo_lib.training.loop:finish", 1),
    "after the summary": ("tempo_lib.training.loop:write_summary", 1),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    samples = world_samples(folder, 1)
    (folder / "own.yaml").write_text("a manifest")
    return folder, samples


@pytest.fixture(scope="module")
def uninterrupted(make_tiny_tempo, corpus, tmp_path_factory):
    folder, samples = corpus
    run = every_step(tmp_path_factory.mktemp("whole"))
    AcceleratorState._reset_state(reset_partial_state=True)
    model = make_tiny_tempo(seed=3)
    train_and_summarise(model, samples, run, folder / "own.yaml")
    return [json.loads(line) for line in (run.out_dir / "losses.jsonl").open()], model


def every_step(folder, **changes):
    return replace(stage_run(folder, STEPS, **changes), save_every=1, keep_states=1)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_training_ends_as_if_it_had_not_been(
    make_tiny_tempo, corpus, uninterrupted, tmp_path, monkeypatch, moment
):
    folder, samples = corpus
    run, (target, place) = every_step(tmp_path), MOMENTS[moment]
    with monkeypatch.context() as patch:
        real = pkgutil.resolve_name(target)
        patch.setattr(target.replace(":", "."), after(real, place) if place else die)
        model = make_tiny_tempo(seed=3)
        assert killed(lambda: train_and_summarise(model, samples, run, folder / "own.yaml"))
    state = newest_state(run.out_dir)
    if state is not None:  # whole: as many losses as steps
        done = json.loads((state / "progress.json").read_text())["done"]
        assert len((state / "losses.jsonl").read_text().splitlines()) == done
    AcceleratorState._reset_state(reset_partial_state=True)
    resumed = make_tiny_tempo(seed=3)
    summary = train_and_summarise(resumed, samples, run, folder / "own.yaml")
    records, whole = uninterrupted
    again = [json.loads(line) for line in (run.out_dir / "losses.jsonl").open()]
    assert [one["step"] for one in again] == list(range(STEPS))
    assert [one["loss"] for one in again] == [one["loss"] for one in records]
    assert summary["steps"] == STEPS
    assert summary["tokens_per_second"] == np.median([one["tokens_per_second"] for one in again])
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    left = {path.name for path in run.out_dir.iterdir()}
    assert not left & {"state", "training.lock"}
    assert not any(name.endswith(".partial") for name in left)


def test_a_state_of_another_run_is_refused_with_the_difference(make_tiny_tempo, corpus, tmp_path):
    _, samples = corpus
    run = every_step(tmp_path)
    model = make_tiny_tempo()
    assert killed(lambda: (setattr(progress, "drop_state", die), train_twice(model, samples, run)))
    changed = [replace(samples[0], answer="Other."), *samples[1:]]
    for other, data, difference in (
        (replace(run, seed=7), samples, "seed 0, now 7"),
        (replace(run, stage=2), samples, "stage 1, now 2"),
        (replace(run, manifest_sha256="f" * 64), samples, "manifest_sha256 None, now ffffffff"),
        (run, changed, "data_sha256"),
        (
            replace(run, numbers=run.numbers.model_copy(update={"window": 2})),
            samples,
            "numbers: window",
        ),
    ):
        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(ResumeError, match=rf"step-0000000\d is of another run: .*{difference}"):
            train_stage(make_tiny_tempo(), data, other)
    assert newest_state(run.out_dir) is not None


def train_twice(model, samples, run):
    """A training that dies with a state on disk."""
    from tempo_lib.training import loop

    loop.finish = die
    train_stage(model, samples, run)


def test_other_ranks_and_other_code_are_said(tmp_path, capsys):
    state = tmp_path / "state" / "step-00000002"
    state.mkdir(parents=True)
    facts = {"seed": 0, "ranks": 2, "code": "a"}
    (state / "progress.json").write_text(json.dumps({"done": 2, "facts": facts}))
    check_resume(tmp_path, {**facts, "ranks": 1})
    assert "written by 2 ranks" in capsys.readouterr().err
    check_resume(tmp_path, {**facts, "code": "b"})
    assert "written by other code" in capsys.readouterr().err
    check_resume(tmp_path, facts)
    assert capsys.readouterr().err == ""


def test_a_half_written_state_is_not_one(tmp_path):
    for name in ("step-00000004", "step-00000008.part"):
        (tmp_path / "state" / name).mkdir(parents=True)
    (tmp_path / "state" / "step-00000008.part" / "progress.json").write_text("{}")
    assert newest_state(tmp_path) is None
    (tmp_path / "state" / "progress.json").write_text("{}")
    with pytest.raises(ResumeError, match="older version"):
        newest_state(tmp_path)


def test_differences_name_what_changed_and_cut_hashes():
    before = {"a": 1, "hash": "a" * 64, "numbers": {"b": 1, "c": 2}}
    now = {"a": 1, "hash": "b" * 64, "numbers": {"b": 1, "c": 3}, "new": 5}
    assert differences(before, now) == "hash aaaaaaaa, now bbbbbbbb; numbers: c 2, now 3"
    assert differences(now, now) == ""


def test_two_trainings_in_one_folder_do_not_meet(tmp_path):
    taken = f"process {os.getpid()} trains there already"
    with progress.locked(tmp_path, is_main=True):
        with pytest.raises(ResumeError, match=taken), progress.locked(tmp_path, is_main=True):
            pass
        with progress.locked(tmp_path, is_main=False):  # another rank
            pass
    with progress.locked(tmp_path, is_main=True):
        pass
    assert not (tmp_path / "training.lock").exists()


def test_a_full_disk_leaves_the_state_before(make_tiny_tempo, corpus, tmp_path, monkeypatch):
    _, samples = corpus
    run = every_step(tmp_path)
    real = progress.write_losses
    calls = []

    def full(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(progress, "write_losses", full)
    with pytest.raises(OSError, match="No space left"):
        train_stage(make_tiny_tempo(seed=3), samples, run)
    assert newest_state(run.out_dir).name == "step-00000001"
    monkeypatch.setattr(progress, "write_losses", real)
    AcceleratorState._reset_state(reset_partial_state=True)
    records = train_stage(make_tiny_tempo(seed=3), samples, run)
    assert [one["step"] for one in records] == list(range(STEPS))
