"""``tempo convert``: both layouts from both, and from an unfinished training, bit for bit."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_checkpoints_convert import bits, same_answers, tokenizer_files

from tempo_lib import Tempo, Video
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.checkpoints.released import ROWS
from tempo_lib.cli.app import run
from tempo_lib.training import loop
from tempo_lib.training.loop import train_stage
from tests.test_cli_app import assert_one_error_line
from tests.test_training_loop import stage_run
from tests.training_samples import world_samples


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(1).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    return Video(frames, fps=2.0)


def converted(source, layout, out):
    return run(["convert", str(source), str(out), "--layout", layout])


def test_ours_goes_to_the_release_and_to_itself(tmp_path, clip, capsys):
    shipped = find_checkpoint("tiny")
    assert converted(shipped, "release", tmp_path / "released") == 0
    assert converted(tmp_path / "released", "release", tmp_path / "again") == 0
    assert converted(tmp_path / "again", "tempo", tmp_path / "back") == 0
    assert converted(shipped, "tempo", tmp_path / "copy") == 0
    assert bits(tmp_path / "back") == bits(tmp_path / "copy") == bits(shipped)
    assert bits(tmp_path / "again") == bits(tmp_path / "released")
    assert ROWS not in bits(tmp_path / "again")
    for name in ("back", "copy", "again"):
        assert tokenizer_files(tmp_path / name) == tokenizer_files(shipped)
    same_answers(shipped, tmp_path / "again", clip)
    assert "layout tempo, " in capsys.readouterr().out


def test_the_release_goes_to_itself_as_it_is(golden_dir, tmp_path, clip):
    for name in ("Tempo-tiny", "Qwen3-VL-tiny"):
        shutil.copytree(golden_dir / name, tmp_path / name)
    assert converted(tmp_path / "Tempo-tiny", "release", tmp_path / "copy") == 0
    assert bits(tmp_path / "copy") == bits(tmp_path / "Tempo-tiny")
    config = (tmp_path / "copy/config.json").read_text()
    assert config == (tmp_path / "Tempo-tiny/config.json").read_text()
    same_answers(tmp_path / "Tempo-tiny", tmp_path / "copy", clip)


@pytest.fixture(scope="module")
def unfinished(make_tiny_tempo, tmp_path_factory):
    """A training that was killed in its third step, and its model after the second."""
    folder, real, then = tmp_path_factory.mktemp("unfinished"), loop.train_step, {}

    def failing(trainer, step, number):
        if number == 2:
            then.update({k: v.clone() for k, v in trainer.model.state_dict().items()})
            raise KeyboardInterrupt
        return real(trainer, step, number)

    samples = world_samples(folder, 1)
    stage = replace(stage_run(folder, 4), save_every=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", failing)
        with pytest.raises(KeyboardInterrupt):
            train_stage(make_tiny_tempo(), samples, stage)
    return folder / "out", then


@pytest.mark.parametrize("layout", ["tempo", "release"])
def test_the_last_state_of_an_unfinished_training_is_a_model(
    unfinished, tmp_path, capsys, clip, layout
):
    folder, then = unfinished
    assert converted(folder, layout, tmp_path / "out") == 0
    assert f"layout {layout} of step-00000002, " in capsys.readouterr().out
    model = Tempo.from_pretrained(tmp_path / "out", device="cpu")
    assert model.state_dict().keys() == then.keys()
    assert all(torch.equal(model.state_dict()[name], one) for name, one in then.items())
    assert not list((tmp_path / "out").glob("*.distcp"))
    assert not (tmp_path / "out" / "progress.json").exists()
    assert converted(folder / "state/step-00000001", layout, tmp_path / "earlier") == 0
    assert bits(tmp_path / "earlier") != bits(tmp_path / "out")


def test_what_cannot_be_converted_is_one_line(unfinished, tmp_path, capsys):
    folder, _ = unfinished
    old = tmp_path / "step-00000002"
    shutil.copytree(folder / "state/step-00000002", old)
    (old / "config.json").unlink()
    assert converted(old, "tempo", tmp_path / "out") == 2
    assert_one_error_line(capsys, "config.json")
    assert converted(tmp_path / "nowhere", "tempo", tmp_path / "out") == 2
    assert_one_error_line(capsys, "no checkpoint at")
    assert converted(folder, "tempo", tmp_path) == 2
    assert_one_error_line(capsys, "is not an empty folder")
    assert not (tmp_path / "out").exists()
