"""What the explorer shows, as plain data: films with key frames, questions with their scores.

Shape suffixes: N segments.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tempo_lib import prompts
from tempo_lib.video.clip import Video, VideoStream, shrink_size
from tempo_lib.video.moments import pick_frames, segment_edges
from tempo_lib.video.pictures import resized

if TYPE_CHECKING:
    from tempo_lib.evaluation.records import Record
    from tempo_lib.model.compressor import SegmentMemories
    from tempo_lib.model.decoder_prompt import Answer

Film = Video | VideoStream

MOST_GROUPS = 64  # of pictures in one film; with more segments, neighbours share theirs
MOST_PICTURES = 96  # of one film, three of each group where they fit
PICTURE_EDGE = 96  # pixels


@dataclass(frozen=True, kw_only=True)
class Row:
    """One question of film number ``film``: what it scored, kept and gave, each (N,).

    ``counts`` and ``scheme`` are what the prediction was made from; None: there is none.
    ``budget``: its own, in the place of the one that all share at the start.
    """

    film: int
    question: str
    scores: list[float]
    logits: list[float] | None = None
    relevant: list[int] | None = None
    counts: list[int] | None = None
    scheme: str = "head"
    budget: int | None = None
    prediction: str | None = None
    answer: str | None = None
    correct: bool | None = None


def row_of_answer(
    film: int,
    question: str,
    memories: "SegmentMemories",
    answer: "Answer | None" = None,
    scheme: str = "head",
    budget: int | None = None,
) -> Row:
    """A question that a model has read, and its answer where there is one."""
    return Row(
        film=film,
        question=question,
        scores=memories.scores.float().tolist(),
        logits=memories.logits.float().tolist(),
        counts=None if answer is None else answer.counts.tolist(),
        scheme=scheme,
        budget=budget,
        prediction=None if answer is None else answer.text,
    )


def row_of_record(film: int, record: "Record") -> Row:
    """A saved record; scores as float32 again, which their shortest decimals are not."""
    scores = np.array(record.scores, dtype=np.float32).tolist()
    logits = record.logits and np.array(record.logits, dtype=np.float32).tolist()
    return Row(
        film=film,
        question=record.question,
        scores=scores,
        logits=logits,
        relevant=record.relevant,
        counts=record.counts,
        prediction=record.prediction,
        answer=record.answer,
        correct=record.correct,
    )


def film_of(
    video: Film | None, seconds_N: np.ndarray, why_missing: str = "", url: str | None = None
) -> dict[str, Any]:
    """One film: times of its segments, pictures of each, and what is missing.

    ``url``: where a browser finds the file. ``why_missing``: said where ``video`` is None.
    """
    edges = segment_edges(seconds_N)
    return {
        "edges": edges.tolist(),
        "timestamps": [prompts.timestamp(second) for second in seconds_N.tolist()],
        "frames": [] if video is None else _pictures(video, edges),
        "video": url,
        "missing": [why_missing] if video is None and why_missing else [],
    }


def payload(
    films: Sequence[Mapping[str, Any]],
    rows: Sequence[Row],
    limits: Mapping[str, int],
    capacity: int,
    *,
    title: str = "",
    missing: Sequence[str] = (),
    show: Sequence[int] = (0,),
) -> dict[str, Any]:
    """All that the explorer shows. ``limits``: budget, k_min and k_max at the start.

    ``capacity``: memory tokens of a segment. ``show``: the rows to begin with, one or two.
    """
    return {
        "title": title,
        "films": list(films),
        "rows": [asdict(row) for row in rows],
        "limits": {name: limits[name] for name in ("budget", "k_min", "k_max")},
        "capacity": capacity,
        "missing": list(missing),
        "show": list(show),
    }


def _pictures(video: Film, edges: np.ndarray) -> list[list[str]]:
    """Data URLs of one to three pictures of each segment, or of each group of neighbours."""
    groups = min(len(edges) - 1, MOST_GROUPS)
    borders = np.interp(np.linspace(0, len(edges) - 1, groups + 1), np.arange(len(edges)), edges)
    each = 3 if 3 * groups <= MOST_PICTURES else 1
    wanted = borders[:-1, None] + np.diff(borders)[:, None] * (np.arange(each) + 0.5) / each
    urls = [_data_url(frame_HW3) for frame_HW3 in pick_frames(video, wanted.ravel().tolist())]
    return [urls[place : place + each] for place in range(0, len(urls), each)]


def _data_url(frame_HW3: np.ndarray) -> str:
    """A small picture as text."""
    from PIL import Image

    height, width = frame_HW3.shape[:2]
    picture = Image.fromarray(resized(frame_HW3, shrink_size(height, width, PICTURE_EDGE)))
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
