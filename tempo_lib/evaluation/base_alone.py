"""The base model alone: a Qwen3-VL as it was released answers from as many frames as a budget buys.

What Tempo must beat: no memory tokens, no second model, every visual token of few frames instead
of a few memories of every segment. The whole video is one sequence, in the layout of Qwen3-VL.
"""

import torch

from tempo_lib import prompts
from tempo_lib.model.numerics import check_logits
from tempo_lib.model.session import VideoSession


def frames_that_fit(session: VideoSession, budget: int) -> int:
    """Frames, in whole pairs and at least one pair, whose visual tokens fit ``budget``.

    ``session``: any on the same video, for the size of its pictures.
    """
    vision = session.config.compressor_config.vision_config
    _, height, width = session.segments.grid_thw_N3[0].tolist()
    per_pair = height * width // vision.spatial_merge_size**2
    return max(1, budget // per_pair) * vision.temporal_patch_size


def visual_tokens(session: VideoSession) -> int:
    """Tokens that the language model reads of all frames of ``session``."""
    merge = session.config.compressor_config.vision_config.spatial_merge_size
    return int(session.segments.grid_thw_N3.prod(dim=1).sum()) // merge**2


@torch.no_grad()
def answer_alone(session: VideoSession, question: str, prompt: str, max_new_tokens: int) -> str:
    """Greedy answer of the session's model, whose head is its table of embeddings.

    ValueError for a session of several segments, or a head of its own, which is not kept.
    """
    compressor, text = session.compressor, session.text
    if session.num_segments != 1 or not compressor.config.tie_word_embeddings:
        raise ValueError("the base model alone needs one segment and a head tied to its embeddings")
    prefix, model = session.prefix(0, prompt), compressor.vlm.language_model
    table = model.embed_tokens.weight
    step = text.ids(prompts.query_parts(question))
    end, place, found = text.special(prompts.IM_END), prefix.next_position_N, list[int]()
    while len(found) < max_new_tokens and found[-1:] != [end]:
        ids_1L = torch.tensor([step], device=compressor.device)
        steps_L = torch.arange(len(step), device=compressor.device)
        hidden_1LD = model(
            inputs_embeds=model.embed_tokens(ids_1L),
            position_ids=(place[:, None] + steps_L).expand(3, -1, -1),
            past_key_values=prefix.cache,
            use_cache=True,
        ).last_hidden_state
        largest, best = (hidden_1LD[0, -1] @ table.T).max(-1)
        check_logits(largest, compressor, "base model")
        place = place + len(step)
        step = [int(best)]
        found += step
    # the next question finds the video alone
    prefix.cache.crop(prefix.mask_NL.shape[1] - prefix.cache.get_seq_length())
    return text.decode(found)
