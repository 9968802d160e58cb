"""Generated videos under the names of a benchmark's real ones, for a rehearsal without them.

Every reader, prompt, scorer, table and figure then runs as it will on the real videos; no accuracy
means anything, and the folder says so (``STAND_IN``), as does each result that is made from it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tempo_lib.evaluation.real.annotations import (
    Annotated,
    questions_of,
    read_rows,
    write_rows,
)
from tempo_lib.evaluation.real.source import STAND_IN, RealSource
from tempo_lib.fingerprint import write_atomic

HEIGHT, WIDTH = 72, 128
FEWEST_FRAMES = 8  # one segment
WriteClip = Callable[[Path, np.ndarray, float], None]  # path, frames (T, H, W, 3) uint8, fps


@dataclass(frozen=True)
class StandIn:
    """What was generated, and how many questions there are about it."""

    num_videos: int
    num_questions: int
    seconds: float


def make_stand_in(
    source: RealSource,
    annotations: Path,
    folder: Path,
    write_clip: WriteClip,
    share: float,
    num_videos: int = 0,
    fps: float = 2.0,
) -> StandIn:
    """Fill ``folder`` with annotations and a video for each id that they name.

    ``share``: of the real length, which is the benchmark's mean where the annotations do not say;
    ``num_videos``: so many, spread over the annotations with their rows as they are; 0 all. Videos
    that lie there already are kept. ValueError for a folder that holds anything but an earlier
    stand-in, or for annotations that are none.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / STAND_IN).is_file():
        raise ValueError(f"{folder} is not empty and no stand-in: choose a new folder")
    questions, _, files = source.questions(annotations)
    seconds = {q.video: q.seconds or float(source.manifest.mean_seconds) for q in questions}
    chosen = _spread(list(seconds), num_videos)
    facts = {"benchmark": source.name, "share": share, "note": "generated videos; no real one"}
    write_atomic(folder / STAND_IN, json.dumps(facts, indent=1) + "\n")
    for file in files:
        rows = zip(read_rows(file), questions_of(file, source.read_question), strict=True)
        kept = [row for row, q in rows if isinstance(q, Annotated) and q.video in chosen]
        if kept or len(files) == 1:
            write_rows(folder / file.relative_to(annotations), kept)
    total = 0.0
    for name in tqdm(chosen, desc=f"{source.name}: stand-ins", unit="video", disable=None):
        path = folder / source.manifest.videos[0].format(video=name)
        num_frames = max(FEWEST_FRAMES, round(share * seconds[name] * fps))
        total += num_frames / fps
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path, np.stack(list(stand_in_frames(name, num_frames))), fps)
    return StandIn(len(chosen), sum(q.video in chosen for q in questions), total)


def _spread(names: Sequence[str], most: int) -> dict[str, None]:
    """``most`` names in equal steps over all of them, so that every part of a file has some."""
    if not 0 < most < len(names):
        return dict.fromkeys(names)
    return dict.fromkeys(names[(2 * i + 1) * len(names) // (2 * most)] for i in range(most))


def stand_in_frames(name: str, num_frames: int) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) uint8: a stripe that moves over a shade that the name decides."""
    shade = np.frombuffer(name.encode(), dtype=np.uint8).astype(int)
    colour_3 = np.array([shade.sum(), 3 * shade[::2].sum(), 7 * shade[0]]) % 200
    for index in range(num_frames):
        frame_HW3 = np.broadcast_to(colour_3, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        start = 4 * index % WIDTH
        frame_HW3[:, start : start + 8] = 255
        yield frame_HW3
