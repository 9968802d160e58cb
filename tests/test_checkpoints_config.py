"""TempoConfig: numbers of a preset, of an override, and of a config file that lacks some."""

import json

import pytest

from tempo_lib import TempoConfig, load_preset
from tempo_lib.checkpoints.config import config_from_preset, default_numbers


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
