"""Accuracy of a base decoder on fresh transcripts, by free greedy decoding.

Nothing of the training path is used: an unmodified Hugging Face model in float32 reads
ordinary prompts and generates.
"""

from collections.abc import Iterable

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tempo_lib import prompts
from tempo_lib.miniature.world.captions import CAPTION_QUESTION, caption, transcript
from tempo_lib.miniature.world.questions import KINDS, Question, is_correct, sample_questions
from tempo_lib.miniature.world.scenes import Story, make_story

MAX_NEW_TOKENS = 16  # the longest answer of questions.py has 12 tokens
MAX_CAPTION_TOKENS = 64
# Training draws from (seed, step). Numpy pads short seeds with zeros, so a fourth entry that
# is not 0 keeps these stories apart from all training.
SEED_SPACE = 7


def prompt_text(context: str, question: str) -> str:
    """The decoder's chat layout up to the answer, with ``context`` where memories will stand."""
    opening = prompts.system_parts(prompts.DECODER_SYSTEM)
    closing = prompts.question_parts(question)
    return "".join(text for _, text in [*opening, ("text", context), *closing])


@torch.no_grad()
def answer_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    context: str,
    questions: list[str],
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[str]:
    """Greedy answers to questions about one transcript, all in one batch padded on the left."""
    encoded = [
        tokenizer(prompt_text(context, question), add_special_tokens=False).input_ids
        for question in questions
    ]
    length = max(len(ids) for ids in encoded)
    ids_BL = torch.full((len(encoded), length), int(tokenizer.pad_token_id))
    mask_BL = torch.zeros_like(ids_BL)
    for row, ids in enumerate(encoded):
        ids_BL[row, length - len(ids) :] = torch.tensor(ids)
        mask_BL[row, length - len(ids) :] = 1
    out_BL = model.generate(
        input_ids=ids_BL,
        attention_mask=mask_BL,
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return tokenizer.batch_decode(out_BL[:, length:], skip_special_tokens=True)


def evaluate_base_decoder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    num_segments: Iterable[int],
    num_stories: int,
    seed: int,
    window: int = 8,
    questions_per_story: int = len(KINDS),
) -> dict[int, dict[str, dict[str, float]]]:
    """``accuracy`` and ``n`` per length and kind, on stories of the 12 drawn actors.

    Kinds take turns. ``caption`` is scored by exact match, on the first two segments of a story.
    """
    model.eval()
    lengths = list(num_segments)
    scores: dict[int, dict[str, dict[str, float]]] = {}
    with tqdm(total=len(lengths) * num_stories, desc="evaluation", mininterval=5) as bar:
        for length in lengths:
            right: dict[str, list[bool]] = {}
            for index in range(num_stories):
                rng = np.random.default_rng([seed, length, index, SEED_SPACE])
                story = make_story(rng, length * window)
                questions = sample_questions(rng, story, questions_per_story, window=window)
                for kind, hit in _score(model, tokenizer, story, questions, window):
                    right.setdefault(kind, []).append(hit)
                bar.update()
            scores[length] = {
                kind: {"accuracy": round(sum(hits) / len(hits), 3), "n": len(hits)}
                for kind, hits in sorted(right.items())
            }
    return scores


def _score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    story: Story,
    questions: list[Question],
    window: int,
) -> list[tuple[str, bool]]:
    context = transcript(story, window)
    answers = answer_texts(model, tokenizer, context, [q.text for q in questions])
    hits = [(q.kind, is_correct(q, a)) for q, a in zip(questions, answers, strict=True)]
    expected = caption(story, 0, 2 * window)
    short = "".join(f"<{part}" for part in context.split("<")[1:3])
    (given,) = answer_texts(model, tokenizer, short, [CAPTION_QUESTION], MAX_CAPTION_TOKENS)
    return [*hits, ("caption", given.strip() == expected)]
