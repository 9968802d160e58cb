"""The released layout: names, config fields, base compressor, and the full size by its shapes."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import Tempo, TempoConfig
from tempo_lib.checkpoints.convert import expected_shapes
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.checkpoints.released import (
    DIFFERENCE,
    ROWS,
    base_config,
    decoder_config,
    our_name,
    released_config,
    released_fields,
    released_name,
)


@pytest.fixture
def pair(tmp_path, golden_dir):
    """A released checkpoint and the base compressor beside it, to change."""
    for name in ("Tempo-tiny", "Qwen3-VL-tiny"):
        shutil.copytree(golden_dir / name, tmp_path / name)
    return tmp_path / "Tempo-tiny", tmp_path / "Qwen3-VL-tiny"


def load(folder, **options):
    return Tempo.from_pretrained(folder, device="cpu", **options)


# -- the full size, by shapes --------------------------------------------------------------------


def test_the_full_size_has_the_recorded_names_shapes_and_parameters(golden_dir):
    recorded = json.loads((golden_dir / "keys/real_6B_meta.json").read_text())
    shapes = expected_shapes(Tempo, TempoConfig())
    named = {released_name(name): list(shape) for name, shape in shapes.items() if name != ROWS}
    assert named == recorded["keys"]
    assert len(named) == recorded["n_keys"] == 1027
    with torch.device("meta"):
        model = Tempo(TempoConfig())
    num_unique = sum(parameter.numel() for parameter in model.parameters())
    assert num_unique == recorded["unique_parameters"] == 6_155_507_712
    assert all(parameter.is_meta for parameter in model.parameters())


def test_the_base_compressor_of_the_preset_is_the_recorded_one(golden_dir):
    recorded = json.loads((golden_dir / "keys/real_base_2B_meta.json").read_text())
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(TempoConfig().compressor_config)
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == recorded


def test_the_full_size_config_survives_a_file_and_the_released_fields(tmp_path):
    config = TempoConfig()
    config.save_pretrained(tmp_path)
    assert TempoConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
    raw = json.loads(json.dumps(released_fields(config)))
    assert raw["mm_vision_tower_aux_list"] == ["Qwen/Qwen3-VL-2B-Instruct"]
    assert (raw["num_compression_tokens"], raw["tokenizer_model_max_length"]) == (128, 16384)
    assert (raw["rope_theta"], raw["rope_scaling"]) == (1e6, None)
    again = released_config(raw, config.compressor_config)
    assert expected_shapes(Tempo, again) == expected_shapes(Tempo, config)
    assert again.decoder_config.rope_parameters == config.decoder_config.rope_parameters


# -- names and config ----------------------------------------------------------------------------


def test_names_go_there_and_back(golden_dir):
    names = json.loads((golden_dir / "keys/real_6B_meta.json").read_text())["keys"]
    ours = {our_name(name) for name in names}
    assert len(ours) == len(names)
    assert {released_name(name) for name in ours} == set(names)


def test_what_no_layout_has_a_place_for_is_a_value_error():
    with pytest.raises(ValueError, match="odd is no tensor of a released"):
        our_name("odd")
    with pytest.raises(ValueError, match=r"no place for compressor\.relevance_rows"):
        released_name(ROWS)


def test_every_field_of_a_released_config_survives(golden_dir):
    raw = json.loads((golden_dir / "Tempo-tiny/config.json").read_text())
    raw |= {"unknown_field": {"a": [1, None]}, "sliding_window": 4096, "mm_use_im_start_end": True}
    config = released_config(raw, base_config(golden_dir / "Qwen3-VL-tiny"))
    assert released_fields(config) == raw
    kept = TempoConfig.from_dict(json.loads(config.to_json_string()))
    assert released_fields(kept) == raw


def test_what_changed_since_is_what_the_fields_say(golden_dir):
    raw = json.loads((golden_dir / "Tempo-tiny/config.json").read_text())
    config = released_config(raw, base_config(golden_dir / "Qwen3-VL-tiny"))
    config.max_context = 32768
    config.decoder_config.rope_parameters = {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 4.0,
        "original_max_position_embeddings": 32768,
    }
    changed = released_fields(config, "other")
    assert changed["tokenizer_model_max_length"] == 32768
    assert changed["rope_scaling"]["factor"] == 4.0
    assert changed["mm_vision_tower_aux_list"] == ["other"]
    again = decoder_config(changed).rope_parameters
    assert again["rope_type"] == "yarn" and again["factor"] == 4.0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mm_projector_type": "mlp2x_gelu"}, "mm_projector_type is 'mlp2x_gelu'"),
        ({"mm_vision_tower_aux_list": ["a", "b"]}, "names 2 models"),
        ({"num_compression_tokens": None}, "lacks the field 'num_compression_tokens'"),
        ({"rope_theta": None}, "lacks the field 'rope_theta'"),
        ({"mm_vision_tower_aux_list": None}, "lacks the field 'mm_vision_tower_aux_list'"),
    ],
)
def test_a_released_config_that_says_too_little_or_something_else(pair, change, match):
    raw = json.loads((pair[0] / "config.json").read_text()) | change
    raw = {key: value for key, value in raw.items() if change.get(key, 0) is not None}
    (pair[0] / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match=match):
        load(pair[0])


# -- base compressor -----------------------------------------------------------------------------


def test_the_base_is_beside_the_checkpoint_or_given_and_the_model_is_the_same(pair, tmp_path):
    beside = load(pair[0]).state_dict()
    pair[1].rename(tmp_path / "elsewhere")
    given = load(pair[0], base_compressor=tmp_path / "elsewhere").state_dict()
    assert all(torch.equal(beside[name], given[name]) for name in beside)


def test_no_base_anywhere_is_one_line_that_says_what_to_do(pair):
    shutil.rmtree(pair[1])
    with pytest.raises(CheckpointError, match=r"the base compressor Qwen3-VL-tiny of .*beside"):
        load(pair[0])
    raw = json.loads((pair[0] / "config.json").read_text())
    raw["mm_vision_tower_aux_list"] = ["nobody/nothing"]
    (pair[0] / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match="cannot get nobody/nothing from the") as caught:
        load(pair[0])
    assert "give base_compressor" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_base_of_another_kind_is_named_with_both_kinds(pair):
    with pytest.raises(CheckpointError, match="model type 'tempo_qwen', not qwen3_vl"):
        load(pair[0], base_compressor=pair[0])


def test_a_base_whose_tokenizer_splits_yes_and_no_is_refused(pair):
    file = pair[1] / "tokenizer.json"
    facts = json.loads(file.read_text())
    model = facts["model"]
    model["merges"] = [pair for pair in model["merges"] if "Yes" not in (*pair, "".join(pair))]
    model["vocab"]["zzz"] = model["vocab"].pop("Yes")
    file.write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match="no single token for Yes"):
        load(pair[0])


# -- the Yes-No difference, and a head that is tied ------------------------------------------------


def with_tensor(folder, name, tensor):
    state = load_file(folder / "model.safetensors")
    save_file(state | {name: tensor}, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.filterwarnings("error::UserWarning")
def test_a_used_checkpoints_difference_changes_nothing(pair, dtype):
    before = load(pair[0]).state_dict()
    yes, no = before[ROWS]
    with_tensor(pair[0], DIFFERENCE, (yes - no).to(dtype)[None])
    after = load(pair[0]).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_difference_of_another_base_is_warned_about(pair):
    with_tensor(pair[0], DIFFERENCE, torch.ones(1, 96))
    with pytest.warns(UserWarning, match=r"linear_layer\.weight .* is it the right one"):
        load(pair[0])


def test_a_saved_head_must_be_the_table_that_it_is_tied_to(pair):
    table = load_file(pair[0] / "model.safetensors")["model.embed_tokens.weight"]
    with_tensor(pair[0], "lm_head.weight", table.clone())
    model = load(pair[0])
    assert model.decoder.lm_head.weight is model.decoder.model.embed_tokens.weight
    with_tensor(pair[0], "lm_head.weight", table + 1)
    with pytest.raises(CheckpointError, match="lm_head is tied"):
        load(pair[0])
