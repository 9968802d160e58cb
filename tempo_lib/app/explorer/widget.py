"""``Explorer``: the widget of notebooks, with a model behind it or from saved records alone.

Sliders and policies share the tokens out anew in the browser, from saved scores. Where no widget
can be shown, the static figure of the first question stands in its place.
"""

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import torch
import traitlets

from tempo_lib.app.explorer.front_end import script, style
from tempo_lib.app.explorer.payload import Film, Row, film_of, payload, row_of_answer, row_of_record
from tempo_lib.evaluation.records import Record, read_records

if TYPE_CHECKING:
    from tempo_lib.figures import DescribedFigure
    from tempo_lib.model.compressor import SegmentMemories
    from tempo_lib.model.session import VideoSession

MOST_RECORDS = 64  # in one explorer; more would make a page of many megabytes
MOST_VIDEO_BYTES = 64 * 2**20  # sent to the browser; a longer film shows its frames


class WidgetWithFigure(anywidget.AnyWidget):
    """A widget with a static figure for whoever cannot show widgets."""

    data = traitlets.Dict().tag(sync=True)
    can_ask = traitlets.Bool(False).tag(sync=True)

    def figure(self) -> "DescribedFigure | None":
        """The figure; None where there is nothing to show."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and beside it the figure."""
        bundle, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        fig = self.figure()
        if fig is not None:
            shown, described = fig._repr_mimebundle_()
            bundle, metadata = {**bundle, **shown}, {**metadata, **described}
        return bundle, metadata


class Explorer(WidgetWithFigure):
    """Explore one video under a model: ``Explorer(session, video, questions)``.

    ``budget``, ``k_min``, ``k_max``: where the sliders start, by default the model's own. Without
    ``video`` there are no pictures. Saved runs need no model: ``Explorer.from_records``.
    """

    def __init__(
        self,
        session: "VideoSession | None" = None,
        video: Film | None = None,
        questions: Sequence[str] = (),
        **limits: int,
    ) -> None:
        self._esm, self._css = script("explorer"), style()
        super().__init__(can_ask=session is not None)
        self._session = session
        self._films: list[Film | None] = [video]
        self._rows: list[Row] = []
        self._memories: list[SegmentMemories] = []
        self._shared: dict[str, Any] = {}
        self.on_msg(self._received)
        if session is None:
            return
        if session.segments.is_image:
            raise ValueError("an image has no time to explore; open a video")
        config = session.config
        bounds = {name: limits.pop(name, getattr(config, name)) for name in _BOUNDS}
        if limits:
            raise ValueError(f"unknown: {', '.join(limits)}; known: {', '.join(_BOUNDS)}")
        why = "No pictures: pass the video, Explorer(session, video)"
        film = film_of(video, session.segments.seconds_N.double().numpy(), why)
        self._shared = {"films": [film], "limits": bounds, "capacity": config.num_memory_tokens}
        for question in questions:
            self.add(question)
        self._show(missing=[] if self._rows else ["No question yet: explorer.add(question)"])

    @classmethod
    def from_records(
        cls,
        records: Sequence[Record] | str | Path,
        videos: Sequence[Film | None] | Mapping[str, Film] = (),
        *,
        k_max: int,
        title: str = "",
    ) -> "Explorer":
        """Explore saved records, without a model: a list of them, or a file that holds them.

        ``videos``: one per record, or by the records' names for them. What is missing is said in
        the widget: a record without its video, a video of another length.
        """
        if isinstance(records, str | Path):
            records = list(read_records(Path(records)).records.values())
        found = cls()
        found._fill(list(records[:MOST_RECORDS]), videos, k_max, title, len(records))
        return found

    def add(self, question: str, scheme: str = "head", **options: Any) -> None:
        """Put one more question to the model and show it; options as in ``Tempo.decode``."""
        if self._session is None:
            raise ValueError("this explorer shows records; it has no model to answer with")
        memories = self._session.compress(question)
        options = {**self._shared["limits"], **options}
        answer = self._session.decode(memories, question, scheme=scheme, **options)
        self._memories.append(memories)
        self._rows.append(row_of_answer(0, question, memories, answer, scheme, answer.budget))
        self._show(show=[len(self._rows) - 1])

    def figure(self) -> "DescribedFigure | None":
        """The static figure of the question on show; None where there is no question."""
        from tempo_lib.figures import allocation
        from tempo_lib.model.decoder_prompt import Answer

        if not self._rows:
            return None
        row = self._rows[self.data["show"][0]]
        film, bounds = self._shared["films"][row.film], self._shared["limits"]
        counts_N = torch.tensor(row.counts)
        seconds_N = torch.tensor(film["edges"]).unfold(0, 2, 1).mean(1)
        scores_N = torch.tensor(row.scores)
        answer = Answer(row.prediction or "", [], counts_N, scores_N, seconds_N, bounds["budget"])
        limits = {"k_min": bounds["k_min"], "k_max": bounds["k_max"]}
        return allocation(answer, None, row.question, **limits)  # small: it stands in every copy

    def _fill(
        self,
        records: list[Record],
        videos: Sequence[Film | None] | Mapping[str, Film],
        k_max: int,
        title: str,
        total: int,
    ) -> None:
        films: list[dict[str, Any]] = []
        missing = [] if records else ["No records: there is nothing to show"]
        if total > len(records):
            missing.append(f"Showing the first {len(records)} of {total} records")
        places: dict[tuple[str, tuple[float, ...]], int] = {}
        self._films = []
        for number, record in enumerate(records):
            if not record.scores:
                missing.append(f"{record.question_id} has no segments")
                continue
            key = record.video, tuple(record.seconds)  # read with fewer frames, a film of its own
            if key not in places:
                places[key] = len(films)
                video = _video_of(videos, number, record)
                video, why = _fitting(video, record)
                self._films.append(video)
                films.append(film_of(video, np.array(record.seconds), why))
            self._rows.append(row_of_record(places[key], record))
        bounds = {"budget": 0, "k_min": 0, "k_max": k_max}
        if records:
            bounds |= {"budget": records[0].budget, "k_min": records[0].k_min}
        self._shared = {"films": films, "limits": bounds, "capacity": k_max, "title": title}
        self._show(missing=missing)

    def _show(self, **changed: Any) -> None:
        self.data = payload(rows=self._rows, **self._shared, **changed)

    def _received(self, _: Any, message: Any, __: Any) -> None:
        """A message of the browser: it wants the film, or puts a question."""
        if message.get("kind") == "videos":
            self._send_videos()
        elif message.get("kind") == "ask" and self._session is not None:
            self._answer(message)

    def _send_videos(self) -> None:
        for number, film in enumerate(self._films):
            path = Path(film.source) if film is not None and film.source else None
            mime = path and mimetypes.guess_type(path.name)[0]
            if path is None or not mime or not mime.startswith("video/") or not path.is_file():
                continue
            if path.stat().st_size <= MOST_VIDEO_BYTES:
                content = {"kind": "video", "film": number, "mime": mime}
                self.send(content, [path.read_bytes()])

    def _answer(self, message: Mapping[str, Any]) -> None:
        """Answer a new question, or one on show from the tokens on show."""
        try:
            place, question = message.get("row"), str(message["question"])
            if place is None:
                self.add(question, budget=int(message["budget"]))
                return
            options = {"counts": torch.tensor(message["counts"]), "scheme": message["scheme"]}
            assert self._session is not None
            memories = self._memories[int(place)]
            answer = self._session.decode(memories, question, **options)
            self._rows[int(place)] = row_of_answer(
                0, question, memories, answer, str(message["scheme"])
            )
            self._show(show=[int(place)])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self.send({"kind": "say", "text": f"No answer: {error}"})


_BOUNDS = ("budget", "k_min", "k_max")


def _video_of(
    videos: Sequence[Film | None] | Mapping[str, Film], number: int, record: Record
) -> Film | None:
    if isinstance(videos, Mapping):
        return videos.get(record.video)
    return videos[number] if number < len(videos) else None


def _fitting(video: Film | None, record: Record) -> tuple[Film | None, str]:
    """The video of a record, or None and why it cannot be shown."""
    if video is None:
        return None, f"No pictures: the video {record.video} is missing"
    last = float(video.seconds[-1])
    if record.seconds[0] > last or abs(last - record.seconds[-1]) > max(10.0, 0.1 * last):
        return None, f"No pictures: the video given for {record.video} is {last:.0f} s long, not it"
    return video, ""
