"""The suite's questions: first, further, budgets; and a Qwen3-VL that reads the frames itself."""

from typing import Any

import torch
from transformers import Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.bench.film import frames
from tempo_lib.bench.gpu.scale import Workbench, built
from tempo_lib.bench.gpu.stopwatch import Lap, forget_peak, laps, now, peak_gigabytes, seconds
from tempo_lib.bench.questions import FIRST, SECOND, stream
from tempo_lib.model.processing import PatchShape, TextEncoder, prefix_ids, segment_pixels
from tempo_lib.model.session import VideoSession
from tempo_lib.training.costs import Segments, forward_work
from tempo_lib.video.clip import Video, collect, load_video

BUDGETS = {"4K": 0.25, "8K": 0.5, "12K": 0.75}  # of what the segments hold, as in the paper
WARM_UP = 16  # frames of a question that nobody measures: kernels are loaded


def read(bench: Workbench) -> dict[str, Any]:
    """The film from its file, sampled and shrunk, on the host."""
    path = bench.film
    started = now(bench.scale.device)
    bench.video = collect(stream(bench.config(), path))
    taken, shape = now(bench.scale.device) - started, bench.video.frames.shape
    return {"seconds": taken, "frames": shape[0], "height_width": list(shape[1:3])}


def first(bench: Workbench) -> dict[str, Any]:
    """A first question about frames in memory: pixels, vision, compressor, prefill, decoding."""
    device, model, video = bench.scale.device, bench.model, need_video(bench)
    short = Video(video.frames[:WARM_UP], video.fps)
    model.open(short).ask(FIRST)
    forget_peak(device)
    parts = {"vision": model.compressor.vlm.visual, "decoder": model.decoder}
    with laps(device, compressor=model.compressor.vlm.language_model, **parts) as found:
        started = now(device)
        session = model.open(video)
        opened = now(device)
        made = session.compress(FIRST)
        compressed = now(device)
        answer = session.decode(made, FIRST, max_new_tokens=bench.scale.num_new)
        ended = now(device)
    bench.session, bench.first_seconds = session, ended - started
    work = work_of(bench, session, found["compressor"], found["decoder"])
    both = work["vision"] + work["compressor"]
    return {
        "seconds": ended - started,
        "preprocess_seconds": opened - started,
        "compress_seconds": compressed - opened,
        "vision_seconds": seconds(found["vision"]),
        "compressor_seconds": seconds(found["compressor"]),
        "vision_mfu": share(bench, work["vision"], seconds(found["vision"])),
        "compressor_mfu": share(bench, work["compressor"], seconds(found["compressor"])),
        "compress_mfu": share(bench, both, compressed - opened),
        "segments": session.num_segments,
        "tokens_per_segment": tokens_per_segment(session, found["compressor"]),
        "tokens_used": answer.tokens_used,
        **decoding(bench, found["decoder"], work["decoder"] + work["head"]),
        "operations": work,
    }


def follow_up(bench: Workbench) -> dict[str, Any]:
    """A further question about the same film; ``ratio`` to the first, ``ratio_on_device`` to it
    without its preprocessing."""
    device, model, session = bench.scale.device, bench.model, need_session(bench)
    language = model.compressor.vlm.language_model
    with laps(device, compressor=language, decoder=model.decoder) as found:
        started = now(device)
        made = session.compress(SECOND)
        compressed = now(device)
        session.decode(made, SECOND, max_new_tokens=bench.scale.num_new)
        ended = now(device)
    return {
        "seconds": ended - started,
        "compress_seconds": compressed - started,
        "compressor_seconds": seconds(found["compressor"]),
        "ratio": (ended - started) / bench.first_seconds,
        **decoding(bench, found["decoder"], None),
    }


def budgets(bench: Workbench) -> dict[str, Any]:
    """Prefill and decoding of one compression under the paper's three budgets."""
    device, model, session = bench.scale.device, bench.model, need_session(bench)
    made = session.compress(FIRST)
    capacity = session.num_segments * model.config.k_max
    found = {}
    for name, part in BUDGETS.items():
        forget_peak(device)
        with laps(device, decoder=model.decoder) as taken:
            options = {"budget": round(part * capacity), "max_new_tokens": bench.scale.num_new}
            answer = session.decode(made, FIRST, **options)
        work = work_of(bench, session, [], taken["decoder"])
        found[name] = {
            "budget": answer.budget,
            "tokens_used": answer.tokens_used,
            **decoding(bench, taken["decoder"], work["decoder"] + work["head"]),
            "peak_gigabytes": peak_gigabytes(device),
        }
    return found


@torch.no_grad()
def native(bench: Workbench) -> dict[str, Any]:
    """transformers' own Qwen3-VL of the compressor's shape on the same frames, as one video."""
    device, video, config = bench.scale.device, need_video(bench), bench.compressor_config()
    bench.forget_models()
    text, vision, window = TextEncoder(bench.tokenizer), config.vision_config, len(video.frames)
    shape = PatchShape(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
    pixels = segment_pixels(video, bench.preset.pixels, shape, window, window)
    ids = prefix_ids(text, prompts.DECODER_SYSTEM, pixels, shape.merge)[0]
    ids_1L = torch.tensor([ids + text.ids(prompts.closing_parts(FIRST))], device=device)
    vlm = built(
        lambda: Qwen3VLForConditionalGeneration._from_config(config, dtype=bench.scale.dtype),
        device,
    ).eval()
    forget_peak(device)
    parts = {"vision": vlm.model.visual, "language": vlm.model.language_model}
    with laps(device, **parts) as found:
        started = now(device)
        vlm.generate(
            input_ids=ids_1L,
            attention_mask=torch.ones_like(ids_1L),
            pixel_values_videos=pixels.pixel_rows_PC.to(device),
            video_grid_thw=pixels.grid_thw_N3.to(device),
            mm_token_type_ids=2 * (ids_1L == config.video_token_id).int(),
            max_new_tokens=bench.scale.num_new,
            do_sample=False,
            pad_token_id=0,
        )
        ended = now(device)
    steps = found["language"]
    slices, patches = len(pixels.pair_seconds[0]), int(pixels.grid_thw_N3[0, 1:].prod())
    whole = Segments(count=1, slices=slices, patches=patches, tokens=ids_1L.shape[1])
    work = forward_work(bench.preset, whole, 1, 1)
    return {
        "seconds": ended - started,
        "tokens": ids_1L.shape[1],
        "vision_seconds": seconds(found["vision"]),
        "vision_mfu": share(bench, work["vision"].forward, seconds(found["vision"])),
        "prefill_seconds": steps[0].seconds,
        "prefill_mfu": share(bench, work["compressor"].forward, steps[0].seconds),
        "seconds_per_token": seconds(steps[1:]) / max(1, len(steps) - 1),
    }


def work_of(
    bench: Workbench, session: VideoSession, compressor: list[Lap], decoder: list[Lap]
) -> dict[str, int]:
    """Operations of one question by the shapes alone; whole score matrices count."""
    pixels = session.segments
    read = tokens_per_segment(session, compressor) - bench.model.config.num_memory_tokens
    segments = Segments(
        count=len(pixels),
        slices=len(pixels.pair_seconds[0]),
        patches=int(pixels.grid_thw_N3[0, 1:].prod()),
        tokens=max(0, read),
    )
    work = forward_work(bench.preset, segments, decoder[0].positions, 1)
    return {name: one.forward for name, one in work.items()}


def decoding(bench: Workbench, steps: list[Lap], prefill_work: int | None) -> dict[str, Any]:
    """Prefill and the steps behind it; their use of the ceiling where the work is known."""
    found: dict[str, Any] = {"prompt_tokens": steps[0].positions}
    found["prefill_seconds"] = steps[0].seconds
    each = seconds(steps[1:]) / max(1, len(steps) - 1)
    found |= {"new_tokens": len(steps), "seconds_per_token": each}
    if prefill_work is not None:
        step = forward_work(bench.preset, Segments(1, 1, 1, 1), 1, 1)
        one = step["decoder"].layers + step["head"].forward
        found["prefill_mfu"] = share(bench, prefill_work, steps[0].seconds)
        found["decode_mfu"] = share(bench, one, each)
    return found


def tokens_per_segment(session: VideoSession, compressor: list[Lap]) -> int:
    """Positions that the compressor read, prompt, video, question and memory tokens together."""
    return sum(lap.positions for lap in compressor) // session.num_segments


def share(bench: Workbench, operations: int, taken: float) -> float | None:
    """Part of the measured ceiling that was used; None before it is measured."""
    if not bench.ceiling or not taken:
        return None
    return round(operations / taken / bench.ceiling, 4)


def need_video(bench: Workbench) -> Video:
    """The frames that ``read`` left; where it failed, the same without a file."""
    if bench.video is None:
        scale, numbers = bench.scale, bench.preset.video
        native = frames(scale.num_frames, scale.height, scale.width)
        edge = bench.preset.pixels.max_edge
        bench.video = load_video(native, numbers.fps, len(native), max_edge=edge)
    return bench.video


def need_session(bench: Workbench) -> VideoSession:
    """The session that ``first`` left; RuntimeError without it."""
    if bench.session is None:
        raise RuntimeError("the part 'first question' left no session")
    return bench.session
