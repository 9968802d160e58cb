import numpy as np

from tempo_lib import prompts
from tempo_lib.miniature.world import wordings
from tempo_lib.miniature.world.questions import QUESTION_TEXT
from tempo_lib.miniature.world.tokenizer import build_tokenizer


def test_wordings_never_hold_the_routing_prompt():
    directive = prompts.ROUTING.removeprefix(prompts.STANDARD).strip()
    rng = np.random.default_rng(0)
    drawn = {wordings.relevance_prompt(rng) for _ in range(3000)}
    assert len(drawn) == len(wordings.OPENINGS) * len(wordings.RELEVANCE_DIRECTIVES)
    for text in drawn | set(wordings.all_texts()):
        assert directive not in text
        assert "is this segment relevant to the Query?" not in text
        assert prompts.STANDARD not in text


def test_every_token_of_the_routing_prompt_is_trained_elsewhere():
    tokenizer = build_tokenizer(prompts.all_texts())
    systems = [f"{o} {d}".strip() for o in wordings.OPENINGS for d in wordings.RELEVANCE_DIRECTIVES]
    read = [*systems, *wordings.OPENINGS, *QUESTION_TEXT.values()]
    known = {i for text in read for i in tokenizer(text)["input_ids"]}
    wanted = set(tokenizer(prompts.ROUTING)["input_ids"])
    missing = tokenizer.convert_ids_to_tokens(sorted(wanted - known))
    assert missing == [], "the base compressor would meet these words for the first time"
