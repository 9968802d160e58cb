"""Recorded function tables against this implementation, row by row.

A row that differs by decision counts as such only where it is of the kind that the decision is
about and our own rule holds for it; every other difference is unexplained.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3VLConfig
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionRotaryEmbedding

from tempo_lib import prompts
from tempo_lib.allocation.ata import allocate
from tempo_lib.allocation.baselines import allocate_adversarial, allocate_top_k
from tempo_lib.allocation.reduction import merge_tokens, reduce_memories
from tempo_lib.config import load_preset
from tempo_lib.model.processing import PatchShape, cut_windows, patchify, resize_frames
from tempo_lib.parity.records import TableRow, load_table, recorded_frames
from tempo_lib.video.sampling import sample_indices

EQUAL, BY_DECISION, UNEXPLAINED = "equal", "by decision", "unexplained"
MERGE_TOLERANCE = 1e-6  # float32 means of other kernels; zero was measured
UNKNOWN_RATE = 1.0  # frames per second that the release assumes where a file gives none
QWEN3_VL = PatchShape(patch=16, merge=2, temporal=2)
RESIZE_SEED = 9  # of the two-frame clips in the resize table
ROPE = {  # theta and width of a head (of a quarter for the vision tower's two axes)
    "svlm_text_theta5e6_hd128": (5e6, 128),
    "svlm_vision_theta1e4_dim32": (1e4, 32),
    "llm_theta1e6_hd128": (1e6, 128),
    "llm_theta5e6_hd128": (5e6, 128),
}


def table_rows(data: Path) -> Iterator[TableRow]:
    """Every recorded table; ``data`` is the folder of the records."""
    samples = load_table(data, "sample_indices")["rows"]
    segments, pairs = (load_table(data, f"{n}_timestamps") for n in ("segment", "svlm_prompt"))
    merges = np.load(data / "tables" / "merge_strategies.npz")
    kept = load_table(data, "merge_strategies")
    yield _count("allocation", load_table(data, "allocation"), allocation_row, "Strict budget")
    yield _count("merge: tome", kept["tome"], lambda row: merge_row(row, merges))
    yield _count("merge: head, tail, tome", ["head", "tail", "tome"], lambda n: kept_row(n, merges))
    yield _count("top-k and last-k", kept["topk_compress"], top_k_row, "Dropped segments of Top-K")
    yield _count("sample indices, inference rule", samples, sample_row)
    yield _count("sample indices, training rule", samples, training_row, "Sampled frames")
    yield _count("segment timestamps", segments, segment_row, "Unknown frame rate")
    yield _count("compressor prompt timestamps", pairs, pair_row, "Odd number of frames")
    yield _count("resize, sizes and pixels", load_table(data, "resize")["rows"], resize_row)
    tables = load_table(data, "rope_inv_freq_real_size")
    frequencies = [(name, kind, tables[name][kind]) for name in ROPE for kind in tables[name]]
    yield _count("rotary frequencies, float32 and cast", frequencies, rope_row)


def _count(
    table: str, rows: list[Any], check: Callable[[Any], str], decision: str = ""
) -> TableRow:
    verdicts = [check(row) for row in rows]
    by_decision = verdicts.count(BY_DECISION) if decision else 0
    return TableRow(table, len(rows), verdicts.count(EQUAL), by_decision, decision)


def _verdict(equal: bool, decided: bool = False) -> str:
    return EQUAL if equal else BY_DECISION if decided else UNEXPLAINED


def allocation_row(row: dict[str, Any]) -> str:
    """Equal, sorted where the release's own order of ties is not fixed; or strict where it is not.

    Strict: the release exceeds the budget or gives no token, and the best ``budget`` get one each.
    """
    limit = min(row["n_tokens"], row["max_tokens"] or row["n_tokens"])
    scores_N = torch.tensor(row["scores"], dtype=torch.float32)
    counts = allocate(scores_N, row["budget"], k_min=row["min_tokens"], k_max=limit).tolist()
    recorded, budget = row["alloc"], row["budget"]
    if row["tie_dependent"]:
        counts, recorded = sorted(counts), sorted(recorded)
    strict = not 0 < sum(recorded) <= budget and sum(counts) == budget and set(counts) == {0, 1}
    return _verdict(counts == recorded, strict)


def merge_row(row: dict[str, Any], merges: Any) -> str:
    """Token merging of one recorded matrix."""
    tokens_Kd, recorded_kd = (torch.from_numpy(merges[f"tome{row['i']}_{end}"]) for end in "xy")
    return _close(merge_tokens(tokens_Kd, row["k"]), recorded_kd)


def kept_row(name: str, merges: Any) -> str:
    """One scheme of keeping tokens on the recorded memories and counts."""
    memories_NKd = torch.from_numpy(merges["strategy_x"])
    scheme = {"tome": "merge"}.get(name, name)
    kept = reduce_memories(memories_NKd, merges["strategy_alloc_budget40_min4"], scheme)
    return _close(torch.cat(kept), torch.from_numpy(merges[f"strategy_{name}"]))


def top_k_row(row: dict[str, Any]) -> str:
    """Whole segments kept by score; ties in any order, as the release's sort is not stable."""
    policy = {"topk": allocate_top_k, "lastk": allocate_adversarial}[row["strategy"]]
    full, dropped = row["n_tokens"], row["k"]
    scores, recorded = row["scores"], row["kept"]
    counts = policy(scores, full * len(scores), k_max=full, drop_ratio=row["drop_ratio"]).tolist()
    pairs = sorted(zip(scores, counts, strict=True))
    wanted = sorted((s, k) for s, k in zip(scores, recorded, strict=True))
    without = sorted((s, 0 if k == dropped else k) for s, k in wanted)
    return _verdict(pairs == wanted, dropped > 0 and pairs == without)


def _ours(row: dict[str, Any]) -> np.ndarray:
    names = ("total_frames", "original_fps", "target_fps", "min_frames", "max_frames")
    return sample_indices(**{name: row[name] for name in names})


def _is_recorded(index: np.ndarray, recorded: Any) -> bool:
    if isinstance(recorded, list):
        return index.tolist() == recorded
    digest = hashlib.sha256(index.tobytes()).hexdigest()
    return len(index) == recorded["n"] and digest == recorded["sha256"]


def sample_row(row: dict[str, Any]) -> str:
    """The frames that the release's inference takes."""
    return _verdict(_is_recorded(_ours(row), row["infer"]))


def training_row(row: dict[str, Any]) -> str:
    """The frames that its training code takes: it truncates where inference rounds."""
    index = _ours(row)
    rounded = _is_recorded(index, row["infer"]) and row["infer"] != row["mm_datautils"]
    return _verdict(_is_recorded(index, row["mm_datautils"]), rounded)


def segment_row(row: dict[str, Any]) -> str:
    """Timestamps of a clip's segments; an unknown rate is refused here, the release takes 1."""
    known = row["real_fps"] is not None and row["real_fps"] > 0
    rate = row["real_fps"] if known else UNKNOWN_RATE
    places = np.arange(row["num_segments"] * row["stride"]) / rate
    cut = cut_windows(places, rate, row["window"], row["stride"], QWEN3_VL.temporal)
    same = [prompts.timestamp(s) for s in cut.seconds_N.tolist()] == row["center"]
    return _verdict(same and known, same)


def pair_row(row: dict[str, Any]) -> str:
    """Timestamps inside a segment. The release's processor repeats the last index of an odd list;
    its pipeline never sends one, because it fills up with a new index first, as we do."""
    places, rate = row["frames_indices"], row["fps"]
    seconds = np.array(places) / rate
    cut = cut_windows(seconds, rate, len(places), len(places), QWEN3_VL.temporal)
    texts = [prompts.timestamp(s) for s in cut.pair_seconds[0]]
    odd = len(places) % QWEN3_VL.temporal == 1
    return _verdict(texts == row["text"], odd and texts[:-1] == row["text"][:-1])


def resize_row(row: dict[str, Any]) -> str:
    """Size and every pixel of a two-frame clip after the three resizing steps."""
    frames = recorded_frames(RESIZE_SEED, 2, row["H"], row["W"])
    small = resize_frames(frames, load_preset("6b").pixels, QWEN3_VL.factor)
    rows_PC = (patchify(small, QWEN3_VL) * 127.5 + 127.5).round().to(torch.uint8)
    digest = hashlib.sha256(rows_PC.numpy().tobytes()).hexdigest()
    same_size = [small.shape[3], small.shape[2]] == row["stage3"]
    return _verdict(same_size and digest == row["pixel_u8_sha256"])


def rope_row(entry: tuple[str, str, list[float]]) -> str:
    """Frequencies as transformers makes them, and after the release's casts."""
    name, kind, recorded = entry
    theta, dim = ROPE[name]
    rope = {"rope_type": "default", "rope_theta": theta}
    if "vision" in name:
        vision = Qwen3VLConfig().vision_config
        vision.hidden_size, vision.num_heads = 2 * dim * vision.num_heads, vision.num_heads
        vision.rope_parameters = {"rope_type": "axial", "rope_theta": theta}
        table = Qwen3VLVisionRotaryEmbedding(vision).inv_freq
    else:
        table = Qwen3RotaryEmbedding(Qwen3Config(head_dim=dim, rope_parameters=rope)).inv_freq
    if kind != "float32":  # the compressor is cast twice, the decoder once
        table = (table if name.startswith("llm") else table.half()).bfloat16()
    return _verdict(table.float().tolist() == recorded)


def _close(ours: torch.Tensor, recorded: torch.Tensor) -> str:
    same = ours.shape == recorded.shape
    return _verdict(same and float((ours - recorded).abs().max()) <= MERGE_TOLERANCE)
