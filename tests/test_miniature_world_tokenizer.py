"""Names and words are one token each, timestamps two; any other text survives a round trip."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, Qwen3Config

from tempo_lib import prompts
from tempo_lib.miniature.world.scenes import ALL_BYSTANDERS, ALL_NAMES, PLACES
from tempo_lib.miniature.world.tokenizer import LAST_SECOND, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(prompts.all_texts())


def pieces(tokenizer, text):
    return [tokenizer.decode([i]) for i in tokenizer(text, add_special_tokens=False).input_ids]


def test_world_pieces_are_single_tokens(tokenizer):
    singles = [*ALL_NAMES, *(f" {name}" for name in ALL_NAMES), *PLACES, "Yes", "No"]
    singles += [*ALL_BYSTANDERS, *(f" {name}" for name in ALL_BYSTANDERS)]
    singles += [*prompts.SPECIAL_TOKENS, " Describe", "Ignore", "ignore", " 4", "7", "\n"]
    for text in singles:
        assert len(tokenizer(text, add_special_tokens=False).input_ids) == 1, text
    for tenth in range(10 * LAST_SECOND):
        assert len(tokenizer(prompts.timestamp(tenth / 10)).input_ids) == 2


def test_words_of_the_prompts_are_never_spelt_in_bytes(tokenizer):
    for text in prompts.all_texts():
        assert all(len(p.strip()) > 1 or not p.strip().isalpha() or p.strip() in "aI"
                   for p in pieces(tokenizer, text)), text  # fmt: skip


def test_a_transcript_reads_as_tags_names_numbers_and_places(tokenizer):
    text = "<2.0 seconds> red star 4 beach, empty snow"
    assert pieces(tokenizer, text) == [
        *("<2", ".0 seconds>", " red star", " 4", " beach", ",", " empty", " snow")
    ]


def test_a_tag_is_the_same_tokens_inside_an_answer(tokenizer):
    answer = pieces(tokenizer, "Seen right after <14.0 seconds>.")
    assert answer[-5:] == [" after", " ", "<14", ".0 seconds>", "."]


def test_longer_words_that_begin_like_names_are_no_names(tokenizer):
    assert " red star" not in pieces(tokenizer, "a hundred stars, red starfish")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_round_trips(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_it_is_small_and_its_specials_come_first(tokenizer):
    assert len(tokenizer) < 2500
    assert tokenizer.convert_tokens_to_ids(list(prompts.SPECIAL_TOKENS)) == list(range(7))
    assert tokenizer.pad_token == prompts.END_OF_TEXT
    assert tokenizer.eos_token == prompts.IM_END


def test_two_builds_write_the_same_bytes_in_any_order_of_texts(tmp_path):
    texts = list(prompts.all_texts())
    for name, order in (("a", texts), ("b", texts[::-1])):
        build_tokenizer(order).save_pretrained(tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_it_loads_again_beside_a_qwen3_config(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    Qwen3Config().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "<|im_start|>user\n<2.0 seconds> red star 4 beach\nYes?<|im_end|>\n"
    assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded.eos_token_id == tokenizer.eos_token_id
