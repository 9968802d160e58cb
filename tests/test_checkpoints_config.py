"""TempoConfig: numbers of a preset, of an override, and of a config file that lacks some."""

import json
import re

import pytest

from tempo_lib import Tempo, TempoConfig, load_preset
from tempo_lib.checkpoints.config import config_from_preset, default_numbers
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.cli.app import run


@pytest.mark.parametrize("name", ["tiny", "6b"])
def test_a_config_holds_every_number_of_its_preset(name):
    config = TempoConfig(preset=name)
    assert {key: getattr(config, key) for key in default_numbers(load_preset(name))} == (
        default_numbers(load_preset(name))
    )
    assert config.video_numbers == load_preset(name).video
    assert config.pixel_rules == load_preset(name).pixels


def test_an_overridden_preset_gives_its_own_numbers_to_a_new_model():
    preset = load_preset("tiny")
    allocation = preset.allocation.model_copy(update={"budget": 7})
    base = TempoConfig(preset="tiny")
    config = config_from_preset(
        preset.model_copy(update={"allocation": allocation}),
        base.compressor_config,
        base.decoder_config,
    )
    assert (config.budget, config.preset) == (7, "tiny")
    assert config.k_max == preset.allocation.k_max


def test_a_file_without_a_number_takes_the_presets(tmp_path):
    TempoConfig(preset="tiny", k_min=2).save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    del fields["budget"]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    config = TempoConfig.from_pretrained(tmp_path)
    assert (config.k_min, config.budget) == (2, load_preset("tiny").allocation.budget)


def test_more_tokens_than_memories_are_refused():
    with pytest.raises(ValueError, match="k_max 200 exceeds the 128 memory tokens"):
        TempoConfig(k_max=200)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw["video"].pop("stride"), "video.stride: Field required"),
        (
            lambda raw: raw.update(budget="384"),
            "budget: Input should be a valid integer, got '384'",
        ),
        (lambda raw: raw.update(k_min=-1), "k_min: Input should be greater than or equal to 0"),
        (lambda raw: raw.update(max_context=2.5), "max_context: Input should be a valid integer"),
        (lambda raw: raw["pixels"].update(edge=3), "pixels.edge: no such field, got 3"),
        (lambda raw: raw.update(video=[1]), "video: Input should be .*, got [1]"),
        (
            lambda raw: raw["video"].update(fps=0),
            "video.fps: Input should be greater than 0, got 0",
        ),
    ],
)
def test_a_config_with_a_wrong_number_names_file_field_and_what_it_found(
    capsys, tiny_tempo, tmp_path, change, problem
):
    tiny_tempo.save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    change(raw)
    (tmp_path / "config.json").write_text(json.dumps(raw))
    expected = re.escape(problem).replace(r"\.\*", ".*")
    with pytest.raises(CheckpointError, match=rf"config\.json: {expected}") as caught:
        Tempo.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
    assert run(["ask", "none", "?", "--checkpoint", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(ValueError, match=expected):
        TempoConfig.from_dict(raw)


def test_numbers_that_a_config_leaves_out_are_the_presets():
    own = load_preset("tiny").allocation.budget
    assert TempoConfig.from_dict({"preset": "tiny", "budget": None}).budget == own
