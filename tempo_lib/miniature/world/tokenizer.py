"""One small tokenizer for compressor and decoder, built from the world's own words.

Byte-level BPE without merges: a piece of text that is in the vocabulary is one token
(``ignore_merges``), every other piece falls back to its bytes, so any text round-trips.
This gives "one token per name and word" by construction, where trained merges would fill most
of a small vocabulary on intermediate pieces. A timestamp is two tokens: whole seconds, and tenths.
"""

from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tempo_lib.miniature.world.captions import CAPTION_QUESTION, CONTENT_QUESTIONS
from tempo_lib.miniature.world.questions import ANSWER_TEXT, LETTERS, QUESTION_TEXT
from tempo_lib.miniature.world.scenes import (
    ALL_BYSTANDERS,
    ALL_NAMES,
    BYSTANDER_SHAPES,
    COLOURS,
    NUMBERS,
    PLACES,
    SHAPES,
)
from tempo_lib.prompts import (
    END_OF_TEXT,
    IM_END,
    OPENINGS,
    SPECIAL_TOKENS,
    timestamp,
)

LAST_SECOND = 640  # the last whole second that is one token
# Qwen2's pieces, with names kept whole and timestamps in two pieces, other digits one by one.
PIECES = "|".join(
    (
        r"<[0-9]+(?=\.[0-9] seconds>)",
        r"\.[0-9] seconds>",
        r" (?=<[0-9]+\.[0-9] seconds>)",  # same tokens with and without a space
        rf" ?(?:{'|'.join(COLOURS)}) (?:{'|'.join((*SHAPES, *BYSTANDER_SHAPES))})(?!\p{{L}})",
        r" ?\p{L}+",
        r" ?\p{N}",
        r" ?[^\s\p{L}\p{N}<]+[\r\n]*",
        r" ?<",  # alone, so that a timestamp right after punctuation stays whole
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def build_tokenizer(extra_texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose words are the world's and those of ``extra_texts``.

    Deterministic: the same texts, in any order, give the same bytes on disk.
    """
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    texts = _texts(tuple(extra_texts))
    pieces = {piece for text in texts for piece, _ in splitter.pre_tokenize_str(text)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*SPECIAL_TOKENS, *alphabet, *sorted(pieces - set(alphabet))]
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=END_OF_TEXT,
        eos_token=IM_END,
        extra_special_tokens=[text for text in SPECIAL_TOKENS if text not in (END_OF_TEXT, IM_END)],
        clean_up_tokenization_spaces=False,
    )


def _texts(extra_texts: tuple[str, ...]) -> Iterator[str]:
    """Every text whose pieces become tokens."""
    templates = (*QUESTION_TEXT.values(), *ANSWER_TEXT.values())
    sentences = [
        text.format(actor=ALL_NAMES[0], other=ALL_NAMES[1], slot=" 1") for text in templates
    ]
    sentences += [CAPTION_QUESTION, "system user assistant\nYou are a helpful assistant."]
    sentences += [*OPENINGS, *(text.format(name="x") for text in CONTENT_QUESTIONS)]
    yield from extra_texts
    yield from sentences
    yield from (f" {number}" for number in NUMBERS)
    yield from (f"{before}{letter}" for before in ("", " ") for letter in LETTERS)
    yield from (timestamp(second) for second in range(LAST_SECOND + 1))
    yield from (timestamp(tenth / 10) for tenth in range(10))
    yield from (text for name in (*ALL_NAMES, *ALL_BYSTANDERS) for text in (name, f" {name}"))
    yield from ("<", " <", ">", ">,", "\n\n", "\n", ", ", ": ", ".")
    words = (
        *PLACES,
        *COLOURS,
        *SHAPES,
        *BYSTANDER_SHAPES,
        "empty",
        "time",
        "times",
        "seconds",
        "Yes",
        "No",
    )
    for word in _words((*words, *sentences, *extra_texts)):
        yield from (f"{word} {word}", f"{word.capitalize()} {word.capitalize()}")


def _words(texts: Iterable[str]) -> set[str]:
    spaced = ("".join(c if c.isalpha() else " " for c in text) for text in texts)
    return {word.lower() for text in spaced for word in text.split()}
