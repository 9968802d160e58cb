import numpy as np

from tempo_lib import prompts
from tempo_lib.miniature.world.captions import CONTENT_QUESTIONS
from tempo_lib.miniature.world.questions import QUESTION_TEXT
from tempo_lib.miniature.world.tokenizer import build_tokenizer


def joined(parts):
    return "".join(text for _, text in parts)


def test_the_compressor_reads_the_layout_the_release_recorded():
    text = joined(prompts.system_parts(prompts.ROUTING)) + joined(prompts.query_parts("Who?"))
    assert text.startswith("<|im_start|>system\nYou are a query-conditioned visual compressor.")
    assert "is this segment relevant to the Query?<|im_end|>\n<|im_start|>user\n" in text
    assert text.endswith("\nQuery:\nWho?<|im_end|>\n<|im_start|>assistant\n")


def test_a_blank_query_becomes_a_description_for_the_compressor_only():
    assert "Query:\nDescribe this content." in joined(prompts.query_parts("  "))
    assert joined(prompts.question_parts("  ")).startswith("\n  <|im_end|>")


def test_a_timestamp_has_one_decimal():
    assert [prompts.timestamp(s) for s in (2, 0.25, 1016.5)] == [
        "<2.0 seconds>",
        "<0.2 seconds>",
        "<1016.5 seconds>",
    ]


def test_prompt_templates_of_training_never_hold_the_routing_prompt():
    directive = prompts.ROUTING.removeprefix(prompts.STANDARD).strip()
    rng = np.random.default_rng(0)
    drawn = {prompts.plain_prompt(rng) for _ in range(1000)}
    assert drawn == set(prompts.OPENINGS)
    for text in (*prompts.OPENINGS, *CONTENT_QUESTIONS):
        assert directive not in text
        assert "is this segment relevant to the Query?" not in text
        assert prompts.STANDARD not in text


def test_every_token_of_the_routing_prompt_is_trained_elsewhere():
    tokenizer = build_tokenizer(prompts.all_texts())
    read = [*prompts.OPENINGS, *QUESTION_TEXT.values()]
    known = {i for text in read for i in tokenizer(text)["input_ids"]}
    wanted = set(tokenizer(prompts.ROUTING)["input_ids"])
    missing = tokenizer.convert_ids_to_tokens(sorted(wanted - known))
    assert missing == [], "the base compressor would meet these words for the first time"
