from tempo_lib import prompts


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


def test_a_time_tag_has_one_decimal():
    assert [prompts.timestamp(s) for s in (2, 0.25, 1016.5)] == [
        "<2.0 seconds>",
        "<0.2 seconds>",
        "<1016.5 seconds>",
    ]
