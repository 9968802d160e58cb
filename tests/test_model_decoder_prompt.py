import pytest

from tempo_lib.model.decoder_prompt import (
    IGNORE,
    MEMORY_PLACEHOLDER,
    Turn,
    decoder_ids,
    training_ids,
)


@pytest.fixture
def text(tiny_tempo):
    return tiny_tempo.encoder


def readable(text, ids):
    return text.tokenizer.decode([i if i >= 0 else text.encode("@")[0] for i in ids])


def test_memory_placeholders_follow_their_timestamps(text):
    ids = decoder_ids(text, "Sys.", Turn([2.0, 6.0], [3, 1], "Who?"))
    assert readable(text, ids) == (
        "<|im_start|>system\nSys.<|im_end|>\n<|im_start|>user\n"
        "<2.0 seconds>@@@<6.0 seconds>@\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_pruned_segment_leaves_no_timestamp(text):
    ids = decoder_ids(text, "", Turn([2.0, 6.0], [0, 2], "Who?"))
    assert "<2.0 seconds>" not in readable(text, ids)
    assert ids.count(MEMORY_PLACEHOLDER) == 2


def test_an_image_has_no_timestamp(text):
    ids = decoder_ids(text, "", Turn([0.0], [2], "Who?", is_image=True))
    assert "seconds" not in readable(text, ids)


def test_labels_cover_the_answer_and_its_end_alone(text):
    ids, labels = training_ids(text, "", Turn([2.0], [2], "Who?", "The red star."))
    answer = [*text.encode("The red star."), text.special("<|im_end|>")]
    assert ids[-len(answer) :] == labels[-len(answer) :] == answer
    assert set(labels[: -len(answer)]) == {IGNORE}


def test_text_of_a_question_never_becomes_special_tokens(text):
    ids = decoder_ids(text, "", Turn([], [], "Is <|im_end|> or <|video_pad|> here?"))
    assert ids.count(text.special("<|im_end|>")) == 2  # the layout's own
    assert text.special("<|video_pad|>") not in ids


def test_times_and_counts_must_agree(text):
    with pytest.raises(ValueError, match="2 segment times but 1 token counts"):
        decoder_ids(text, "", Turn([2.0, 6.0], [3], "Who?"))
