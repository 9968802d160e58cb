"""An untrained Tempo: what is copied, what is drawn, which pairs of base models are refused."""

import copy
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.model.from_base_models import check_tokenizers_match, tempo_from_base_models

PRESET = load_preset("tiny")


@pytest.fixture(scope="module")
def bases():
    return find_checkpoint("tiny", "base_compressor"), find_checkpoint("tiny", "base_decoder")


@pytest.fixture(scope="module")
def untrained(bases):
    return tempo_from_base_models(*bases, PRESET, seed=3)


@pytest.fixture
def copies(bases, tmp_path):
    for base in bases:
        shutil.copytree(base, tmp_path / base.name)
    return tmp_path / bases[0].name, tmp_path / bases[1].name


# -- weights -------------------------------------------------------------------------------------


def test_both_base_models_are_copied_bit_for_bit_and_so_are_the_head_rows(untrained, bases):
    compressor = load_file(bases[0] / "model.safetensors")
    state = untrained.state_dict()
    for name, tensor in compressor.items():
        assert torch.equal(state["compressor.vlm." + name.removeprefix("model.")], tensor.float())
    for name, tensor in load_file(bases[1] / "model.safetensors").items():
        assert torch.equal(state["decoder." + name], tensor.float())
    tokenizer = AutoTokenizer.from_pretrained(bases[0])
    ids = tokenizer.convert_tokens_to_ids(["Yes", "No"])
    table = compressor["model.language_model.embed_tokens.weight"].float()
    assert torch.equal(state["compressor.relevance_rows"], table[ids])


def test_a_saved_checkpoint_holds_no_path_of_its_base_models(untrained, bases, tmp_path):
    untrained.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    assert not any(str(base.parent) in text for base in bases)


def test_memory_tokens_are_drawn_from_the_distribution_of_the_embedding(untrained):
    table_VD = untrained.compressor.vlm.language_model.embed_tokens.weight.detach()
    tokens_KD = untrained.compressor.memory_tokens.detach()[0]
    # standard scores against each column's own mean and spread: 16 x 96 = 1536 draws of N(0, 1),
    # so mean and standard deviation have standard errors of 0.026 and 0.018; four of each
    scores_KD = (tokens_KD - table_VD.mean(0)) / table_VD.std(0)
    assert abs(scores_KD.mean().item()) < 0.11
    assert abs(scores_KD.std().item() - 1) < 0.08
    # and not of one spread for all columns: those of the table differ, and the draw follows them
    wide = untrained_wide(untrained.compressor)
    ratio_D = wide.std(1)[0] / table_VD.std(0)
    assert (ratio_D - 1).abs().max() < 0.12
    assert ((wide.mean(1)[0] - table_VD.mean(0)) / table_VD.std(0)).abs().max() < 0.1


def untrained_wide(compressor):
    """The same draw with 4096 tokens, so that every column's own statistics can be checked."""
    wide = copy.deepcopy(compressor)
    wide.memory_tokens = torch.nn.Parameter(torch.zeros(1, 4096, wide.memory_tokens.shape[-1]))
    wide.init_memory_tokens(torch.Generator().manual_seed(0))
    return wide.memory_tokens.detach()


def test_draws_follow_the_seed_and_leave_global_randomness_alone(untrained, bases):
    before = torch.random.get_rng_state()
    again, other = (tempo_from_base_models(*bases, PRESET, seed=seed) for seed in (3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    drawn = ("compressor.memory_tokens", "projector.weight")
    assert not any(torch.equal(other.state_dict()[n], untrained.state_dict()[n]) for n in drawn)


# -- bases that cannot be had, or are not what they should be ----------------------------------


def refused(match, one, two):
    with pytest.raises(CheckpointError, match=match) as caught:
        tempo_from_base_models(one, two, PRESET, seed=0)
    assert "\n" not in str(caught.value)


def test_the_wrong_kind_of_base_is_named_with_both_kinds(bases):
    refused("is of model type 'qwen3', not 'qwen3_vl'", bases[1], bases[1])
    refused("is of model type 'qwen3_vl', not 'qwen3'", bases[0], bases[0])


def test_a_base_that_is_nowhere_is_one_line(bases, tmp_path):
    refused("no checkpoint at", tmp_path / "nowhere", bases[1])
    refused("cannot get nobody/nothing from the", bases[0], "nobody/nothing")


def test_a_base_with_a_lost_tensor_is_refused_and_not_filled_up(copies):
    state = load_file(copies[1] / "model.safetensors")
    del state["model.norm.weight"]
    save_file(state, copies[1] / "model.safetensors", metadata={"format": "pt"})
    refused(r"missing: model\.norm\.weight", *copies)


def test_visual_ids_of_config_and_tokenizer_must_agree(copies):
    file = copies[0] / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"video_token_id": 9}))
    refused(r"<\|video_pad\|> is id 6 in the tokenizer, .* video_token_id 9", *copies)


def test_base_models_of_two_vocabularies_are_refused(bases, golden_dir, tmp_path):
    shape = {**PRESET.model.decoder.as_config(), "num_hidden_layers": 1, "hidden_size": 64}
    config = Qwen3Config(**shape, vocab_size=640)
    Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(golden_dir / "Qwen3-VL-tiny" / name, tmp_path)
    refused(r"tokenizers differ: \d+ tokens have other ids", bases[0], tmp_path)


# -- which tokenizers go together --------------------------------------------------------------


@pytest.fixture
def edited(golden_dir):
    """``edited(folder, edit)``: the recorded Qwen tokenizer, its JSON edited."""

    def make(tmp_path, edit):
        folder = tmp_path / edit.__name__
        folder.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(golden_dir / "Qwen3-VL-tiny" / name, folder)
        facts = json.loads((folder / "tokenizer.json").read_text())
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        edit(facts, settings)
        (folder / "tokenizer.json").write_text(json.dumps(facts))
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))

    return make


def same(facts, settings):
    pass


def without_think(facts, settings):
    """As a family's release without reasoning marks: it adds fewer tokens."""
    marks = {"<think>", "</think>", "<tool_response>", "</tool_response>"}
    facts["added_tokens"] = [t for t in facts["added_tokens"] if t["content"] not in marks]


def with_audio(facts, settings):
    facts["added_tokens"].append(
        {**facts["added_tokens"][-1], "id": 626, "content": "<|audio_pad|>"}
    )


def moved_mark(facts, settings):
    swapped = {"<|box_start|>": "<|box_end|>", "<|box_end|>": "<|box_start|>"}
    for token in facts["added_tokens"]:
        token["content"] = swapped.get(token["content"], token["content"])


def other_word(facts, settings):
    vocabulary = facts["model"]["vocab"]
    vocabulary["zzz"] = vocabulary.pop("Yes")
    facts["model"]["merges"] = [
        pair for pair in facts["model"]["merges"] if "Yes" not in (*pair, "".join(pair))
    ]


def other_merges(facts, settings):
    facts["model"]["merges"] = []


def test_tokenizers_that_differ_in_unused_special_tokens_go_together(edited, tmp_path):
    plain, fewer, more = (edited(tmp_path, edit) for edit in (same, without_think, with_audio))
    for one, other in (
        (plain, plain),
        (plain, fewer),
        (fewer, plain),
        (plain, more),
        (more, fewer),
    ):
        check_tokenizers_match(one, other, 640)


@pytest.mark.parametrize(
    ("edit", "num_rows", "match"),
    [
        (moved_mark, 640, r"2 tokens have other ids, .*'<\|box_start\|>'"),
        (other_word, 640, "2 are in one of them only"),
        (other_merges, 640, "same tokens but cut text differently"),
        (same, 610, r"ids beyond the 610 rows of the smaller embedding"),
    ],
)
def test_tokenizers_that_would_give_other_ids_are_refused(edited, tmp_path, edit, num_rows, match):
    other = edited(tmp_path, edit)
    plain = other if edit is same else edited(tmp_path, same)
    with pytest.raises(CheckpointError, match=match):
        check_tokenizers_match(plain, other, num_rows)
