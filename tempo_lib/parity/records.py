"""What the release recorded: cases, tables, clips; and the rows that compare it with ours."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from tempo_lib.provenance import project_root
from tempo_lib.video.clip import Video

CHECKPOINT, BASE = "Tempo-tiny", "Qwen3-VL-tiny"
CHECKPOINT_FILES = ("config.json", "model.safetensors")
TABLES = (
    *("allocation.json.gz", "merge_strategies.json", "merge_strategies.npz", "resize.json"),
    *("rope_inv_freq_real_size.json", "sample_indices.json", "segment_timestamps.json"),
    "svlm_prompt_timestamps.json",
)
NEEDED = (
    *(f"{folder}/{name}" for folder in (CHECKPOINT, BASE) for name in CHECKPOINT_FILES),
    *("cases/cases.json", "cases/official_dtypes_bf16.json"),
    *(f"tables/{name}" for name in TABLES),
)
RELEASE_RULE = "release rule, not our default"
STATED = "stated, no bound"
CASE_HEADER = ("case", "quantity", "largest difference", "tolerance", "values", "verdict")
TABLE_HEADER = ("table", "rows", "equal", "by decision", "unexplained", "verdict")


class MissingDataError(ValueError):
    """Recorded data that is absent; the message names where to get it."""


@dataclass(frozen=True)
class Case:
    """One recorded clip and question: facts (JSON), tensors, and the clip itself."""

    name: str
    facts: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    video: Video


def find_data(folder: Path | None = None) -> Path:
    """The folder of recorded data, default ``tests/data/golden`` of project or checkout.

    MissingDataError that names what is absent.
    """
    place = own_data() if folder is None else folder
    needed = [*NEEDED]
    if (place / "cases" / "cases.json").is_file():
        needed += [f"cases/{case}.safetensors" for case in case_names(place)]
    absent = [name for name in needed if not (place / name).is_file()]
    if absent:
        more = " and more" if len(absent) > 3 else ""
        raise MissingDataError(
            f"no recorded data of the release in {place}: {', '.join(absent[:3])}{more} missing; "
            "it is part of the repository, in tests/data/golden: clone it, or name its copy with "
            "--data"
        )
    return place


def own_data() -> Path:
    """Of the project, else of the checkout this package lies in, as ``manifest_path`` finds it."""
    own = project_root() / "tests" / "data" / "golden"
    return own if own.exists() else Path(__file__).resolve().parents[2] / "tests/data/golden"


def case_names(data: Path) -> list[str]:
    """Names of the recorded cases in a folder, which may hold more than the repository's."""
    return sorted(json.loads((data / "cases" / "cases.json").read_text()))


def load_case(data: Path, name: str) -> Case:
    """A case with its clip; ValueError when the clip is not the recorded one."""
    facts = json.loads((data / "cases" / "cases.json").read_text())[name]
    frames = recorded_frames(facts["seed"], facts["T"], facts["H"], facts["W"])
    if hashlib.sha256(frames.tobytes()).hexdigest() != facts["frames_sha256"]:
        raise ValueError(f"the frames of case {name} are not the recorded ones on this machine")
    tensors = load_file(data / "cases" / f"{name}.safetensors")
    return Case(name, facts, tensors, Video(frames, fps=facts["real_fps"]))


def load_table(data: Path, name: str) -> Any:
    """A recorded table by its file name without suffix."""
    packed = data / "tables" / f"{name}.json.gz"
    if packed.is_file():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((data / "tables" / f"{name}.json").read_text())


@dataclass(frozen=True)
class Row:
    """A quantity of one case: largest difference over ``num_values``, and the most allowed.

    ``tolerance`` 0 means equal; None means that the difference is stated and not bounded.
    ``note`` marks rows where the release's rule was followed although it is not our default.
    """

    case: str
    quantity: str
    difference: float
    tolerance: float | None
    num_values: int
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.tolerance is None or self.difference <= self.tolerance  # False for NaN

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of ``CASE_HEADER``."""
        tolerance = STATED if self.tolerance is None else f"{self.tolerance:g}"
        verdict = "stated" if self.tolerance is None else "ok" if self.ok else "OUT OF TOLERANCE"
        quantity = self.quantity + (f" ({self.note})" if self.note not in ("", STATED) else "")
        difference = f"{self.difference:.2g}"
        return self.case, quantity, difference, tolerance, str(self.num_values), verdict


@dataclass(frozen=True)
class TableRow:
    """A recorded function table: how many rows are equal, and how many differ by decision.

    ``decision`` is the row of DIFFERENCES.md that explains the latter; every other difference
    counts in ``num_unexplained``.
    """

    table: str
    num_rows: int
    num_equal: int
    num_by_decision: int = 0
    decision: str = ""

    @property
    def num_unexplained(self) -> int:
        return self.num_rows - self.num_equal - self.num_by_decision

    @property
    def ok(self) -> bool:
        return self.num_rows > 0 and self.num_unexplained == 0

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of ``TABLE_HEADER``."""
        decision = str(self.num_by_decision)
        decision += f" ({self.decision})" if self.num_by_decision else ""
        counts = str(self.num_rows), str(self.num_equal), decision, str(self.num_unexplained)
        return self.table, *counts, "ok" if self.ok else "UNEXPLAINED"


def compare(
    quantity: str,
    ours: torch.Tensor,
    recorded: torch.Tensor,
    tolerance: float | None = 0.0,
    note: str = "",
) -> Row:
    """A row of no case yet with the largest absolute difference; infinite where shapes differ."""
    difference = float("inf")
    if ours.shape == recorded.shape and recorded.numel():
        difference = float((ours.detach().cpu().double() - recorded.double()).abs().max())
    return Row("", quantity, difference, tolerance, recorded.numel(), note)


def recorded_frames(seed: int, num_frames: int, height: int, width: int) -> np.ndarray:
    """uint8 (T, H, W, 3): the smooth random clip that the release was recorded on.

    Integers only, so every machine gets the same bytes: key frames of a coarse and a fine grid
    and of a mean colour, enlarged linearly in time and space.
    """
    # legacy generator on purpose: its stream is frozen, and the records were made with it
    draw = np.random.RandomState(seed)
    keys = num_frames // 5 + 2
    spans = ((5, 7, 0, 256), (19, 23, -60, 61), (1, 1, -70, 71))
    grids = [draw.randint(lo, hi, (keys, h, w, 3)).astype(np.int32) * 16 for h, w, lo, hi in spans]
    in_time = [_enlarge(grid, num_frames, 0) for grid in grids]
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    for place in range(num_frames):  # one frame at a time: int32 copies of a clip are large
        coarse, fine = (_enlarge(_enlarge(g[place], height, 0), width, 1) for g in in_time[:2])
        coarse += fine + (in_time[2][place] + 8)
        frames[place] = np.clip(coarse >> 4, 0, 255)
    return frames


def _enlarge(grid: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Linear interpolation along ``axis`` to ``size`` samples, corners kept, in 256ths."""
    last = grid.shape[axis] - 1
    if last == 0:
        return np.repeat(grid, size, axis=axis)
    place = (np.arange(size, dtype=np.int64) * last * 256) // max(size - 1, 1)
    low = np.minimum(place >> 8, last - 1)
    part = np.expand_dims(place - (low << 8), tuple(i for i in range(grid.ndim) if i != axis))
    below, above = np.take(grid, low, axis), np.take(grid, low + 1, axis)
    above -= below
    above *= part.astype(np.int32)
    above += (below << 8) + 128
    return above >> 8
