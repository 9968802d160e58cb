"""What the two models read, token by token, and of which kind each token is."""

from collections.abc import Sequence

from tempo_lib import prompts
from tempo_lib.model.decoder_prompt import MEMORY_PLACEHOLDER, Answer, Turn, decoder_ids
from tempo_lib.model.processing import prefix_ids
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo

TEXT, TIMESTAMP, VISION, QUESTION, MEMORY = KINDS = (
    *("prompt", "timestamp", "vision", "question", "memory"),
)


def compressor_kinds(
    model: Tempo, session: VideoSession, question: str, segment: int, prompt: str = "routing"
) -> list[str]:
    """The kind of every token that the compressor reads for one segment (section 3.2).

    Prompt, then per pair of frames its timestamp and its visual tokens, the question, and last the
    memory tokens, at whose places the memories are read off.
    """
    text, config = session.text, model.config
    system = config.system_prompts[prompt]
    merge = config.compressor_config.vision_config.spatial_merge_size
    (ids,) = prefix_ids(text, system, session.segments.part(segment, segment + 1), merge)
    visual = (prompts.VISION_START, prompts.VIDEO_PAD, prompts.IMAGE_PAD, prompts.VISION_END)
    is_visual = {text.special(token) for token in visual}
    num_prompt = len(text.ids(prompts.system_parts(system)))
    video = [VISION if token in is_visual else TIMESTAMP for token in ids[num_prompt:]]
    num_question = len(text.ids(prompts.query_parts(question)))
    num_memory = model.compressor.num_memory_tokens
    return [TEXT] * num_prompt + video + [QUESTION] * num_question + [MEMORY] * num_memory


def decoder_kinds(model: Tempo, answer: Answer, question: str) -> list[str]:
    """The kind of every token of the decoder's prompt (section 3.3): what ATA left of the video."""
    text, system = model.encoder, model.config.decoder_system_prompt
    turn = Turn(answer.seconds.tolist(), answer.counts.tolist(), question)
    ids = decoder_ids(text, system, turn)
    first = len(text.ids(prompts.system_parts(system)))
    last = len(ids) - len(text.ids(prompts.question_parts(question)))
    video = [MEMORY if token == MEMORY_PLACEHOLDER else TIMESTAMP for token in ids[first:last]]
    return [TEXT] * first + video + [QUESTION] * (len(ids) - last)


def runs(kinds: Sequence[str]) -> list[tuple[str, int]]:
    """Neighbours of one kind together: (kind, how many)."""
    found: list[tuple[str, int]] = []
    for kind in kinds:
        if found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + 1)
        else:
            found.append((kind, 1))
    return found
