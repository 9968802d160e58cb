"""What the cost model (training/costs.py) says of questions about one clip."""

from collections.abc import Mapping

from tempo_lib import prompts
from tempo_lib.bench.questions import FIRST
from tempo_lib.config import Preset, load_preset
from tempo_lib.model.compressor import Cut, SegmentMemories
from tempo_lib.model.processing import prefix_ids
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.training.costs import Segments, forward_work

FLOAT, MEGABYTE = 4, 2**20  # bytes


def shapes(model: Tempo) -> Preset:
    """The model's preset with the shapes that the model has: configs name them alike."""
    preset, config = load_preset(model.config.preset), model.config
    changed = {"num_memory_tokens": config.num_memory_tokens, "decoder": config.decoder_config}
    numbers = preset.model.model_copy(update={"compressor": config.compressor_config, **changed})
    return preset.model_copy(update={"model": numbers})


def of_questions(
    model: Tempo, session: VideoSession, made: SegmentMemories, count: int
) -> Mapping[str, float]:
    """``operations`` of ``count`` questions in one session, ``megabytes`` that it holds for them.

    The first reads everything; of a further one, its own tokens count and what they attend to does
    not, as in the plan of the real benchmarks. Held: patch rows and vision features, in float32.
    """
    query = len(model.encoder.ids(prompts.query_parts(FIRST)))
    whole = segments_of(model, session, query)
    numbers = shapes(model)
    work = forward_work(numbers, whole, 0, 0)
    further = Segments(count=whole.count, slices=0, patches=0, tokens=query)
    again = forward_work(numbers, further, 0, 0)["compressor"].forward
    read = work["vision"].forward + work["compressor"].forward + (count - 1) * again
    vision = model.config.compressor_config.vision_config
    levels = 1 + len(vision.deepstack_visual_indexes)
    visual = whole.count * whole.slices * whole.patches // vision.spatial_merge_size**2
    held = session.segments.pixel_rows_PC.numel() + visual * levels * vision.out_hidden_size
    return {
        "operations": read + count * of_answer(model, made, None)["operations"],
        "megabytes": FLOAT * held / MEGABYTE,
    }


def of_answer(model: Tempo, made: SegmentMemories, k: int | None) -> Mapping[str, float]:
    """``operations`` of the projector and the decoder, the prompt of an answer read and one token
    predicted; ``k``: memory tokens of each segment, None for what the budget gives.
    """
    answer = model.decode(made, FIRST, max_new_tokens=1, adaptive=k is None, k_max=k)
    cut = Cut(made, answer.counts)
    length = model.prompt_embeds(cut, FIRST, 1).shape[1]
    numbers = shapes(model)
    around = forward_work(numbers, Segments(len(made.scores), 0, 0, 0), length, 1)
    return {"operations": sum(around[name].forward for name in ("projector", "decoder", "head"))}


def segments_of(model: Tempo, session: VideoSession, query: int) -> Segments:
    """The session's segments as the compressor reads them: ``query`` tokens of a question."""
    pixels, merge = session.segments, model.patch_shape.merge
    slices, height, width = pixels.grid_thw_N3[0].tolist()
    rows = prefix_ids(model.encoder, model.config.system_prompts["routing"], pixels, merge)
    tokens = sum(len(row) + query for row in rows) // len(rows)
    return Segments(count=len(rows), slices=slices, patches=height * width, tokens=tokens)
