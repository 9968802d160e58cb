"""What the buttons of the web page do: take a file, answer, cancel, work through many cases."""

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read once, when gradio is imported
import gradio as gr

from tempo_lib.app.ask_request import EXPECTED, AskRequest, RefusedError, Result
from tempo_lib.app.engine import Engine
from tempo_lib.app.page_text import answer_html, linked, progress_line, sentence, table_html
from tempo_lib.app.visitors import Visitor, Visitors
from tempo_lib.gates import read_rows

MOST_CASES = 200
EMPTY = json.dumps({})


@dataclass(frozen=True)
class Example:
    """A video that the page offers, with questions that suit it."""

    label: str
    path: Path
    questions: tuple[str, ...]


class Page:
    """What the page's buttons do. ``note``: said on top, as what the model's words are worth."""

    def __init__(
        self, engine: Engine, folder: Path, examples: Sequence[Example] = (), note: str = ""
    ) -> None:
        self.engine, self.note = engine, note
        self.visitors = Visitors(engine, folder)
        self.examples = {example.label: example for example in examples}

    def taken(self, uploaded: str | None, request: gr.Request) -> tuple[str, str, str]:
        """A file was uploaded, or taken away."""
        visitor = self.visitors[str(request.session_hash)]
        if uploaded is None:
            return "", EMPTY, ""
        try:
            self.visitors.take(visitor, Path(uploaded))
        except RefusedError as error:
            return f"{error}", EMPTY, ""
        return "The file is here: put a question.", EMPTY, ""

    def chosen(self, label: str | None, request: gr.Request) -> tuple[Any, str, str, str]:
        """An example was chosen: its first question stands ready."""
        if label is None or label not in self.examples:
            return gr.skip(), "", EMPTY, ""
        example = self.examples[label]
        self.visitors.show(self.visitors[str(request.session_hash)], example.path)
        others = "; ".join(example.questions[1:])
        status = f"Example ready. Other questions that suit it: {others}"
        return example.questions[0], status, EMPTY, ""

    def ask(
        self,
        question: str,
        budget: float,
        second: float,
        frames: float,
        temperature: float,
        new_tokens: float,
        adaptive: bool,
        answers: str,
        request: gr.Request,
    ) -> Iterator[tuple[str, str, Any]]:
        """Answer a question: (status, answers, explorer) as the work goes on."""
        visitor = self.visitors[str(request.session_hash)]
        budgets = (int(budget), int(second)) if second > 0 else (int(budget),)
        visitor.cancel = threading.Event()
        ask_request = AskRequest(
            path=visitor.path,
            question=question or "",
            owner=visitor.name,
            budgets=budgets,
            max_frames=int(frames),
            max_new_tokens=int(new_tokens),
            temperature=float(temperature),
            adaptive=adaptive,
        )
        before = answers or ""
        try:
            if visitor.path is None:
                raise RefusedError("upload a video, or choose an example, first")
            for event in self.engine.ask(ask_request, visitor.cancel):
                if isinstance(event, Result):
                    yield "Done.", answer_html(event) + before, self._explored(visitor, event)
                elif event.text:
                    shown = f'<div class="te-answer"><p>{linked(event.text)}</p></div>'
                    yield "answering ...", shown + before, gr.skip()
                else:
                    yield (
                        progress_line(event.stage, event.share, event.seconds_left),
                        before,
                        gr.skip(),
                    )
        except EXPECTED as error:
            yield sentence(error), before, gr.skip()

    def cancel(self, request: gr.Request) -> str:
        """End what is being computed for this visitor."""
        self.visitors[str(request.session_hash)].cancel.set()
        return "Cancelling ..."

    def left(self, request: gr.Request) -> None:
        """A tab was closed."""
        self.visitors.leave(str(request.session_hash))

    def batch(
        self, cases: str | None, files: list[str] | None, request: gr.Request
    ) -> Iterator[tuple[str, Any, Any]]:
        """Answer the questions of a JSON file about videos that were uploaded with it."""
        visitor = self.visitors[str(request.session_hash)]
        visitor.cancel = threading.Event()
        hidden = gr.DownloadButton(visible=False)
        self.visitors.hold(visitor, [Path(file) for file in (cases, *(files or [])) if file])
        try:
            wanted = read_cases(cases, files)
        except (RefusedError, ValueError) as error:
            yield sentence(error), "", hidden
            return
        rows: list[list[Any]] = []
        records: list[dict[str, Any]] = []
        started = time.perf_counter()
        for number, (name, path, question) in enumerate(wanted):
            each = (time.perf_counter() - started) / max(number, 1)
            left = f", about {each * (len(wanted) - number):.0f} s left" if number else ""
            yield f"Question {number + 1} of {len(wanted)}{left}", table_html(rows), hidden
            if visitor.cancel.is_set():
                yield f"Cancelled after {number} of {len(wanted)}.", table_html(rows), hidden
                return
            record = self._case(name, path, question, visitor)
            records.append(record)
            rows.append(
                [
                    name,
                    question,
                    record.get("text", record.get("error")),
                    record.get("tokens_used", ""),
                ]
            )
        target = visitor.folder / "predictions.json"
        target.write_text(json.dumps(records, indent=1), encoding="utf-8")
        saved = gr.DownloadButton(value=str(target), visible=True)
        yield f"Done: {len(rows)} questions.", table_html(rows), saved

    def _case(self, name: str, path: Path, question: str, visitor: Visitor) -> dict[str, Any]:
        shared = {"video_path": name, "query": question}
        ask_request = AskRequest(path=path, question=question, owner=visitor.name)
        try:
            *_, result = self.engine.ask(ask_request, visitor.cancel)
        except EXPECTED as error:
            return {**shared, "error": sentence(error)}
        assert isinstance(result, Result)
        answer = result.answers[0]
        return {
            **shared,
            "text": answer.text,
            "tokens_used": answer.tokens_used,
            "counts": answer.counts.tolist(),
            "scores": answer.scores.tolist(),
            "seconds": answer.seconds.tolist(),
            "budget": answer.budget,
        }

    def _explored(self, visitor: Visitor, result: Result) -> str:
        config = self.engine.model.config
        limits = {"k_min": config.k_min, "k_max": config.k_max}
        return json.dumps(visitor.keep(result, limits, config.num_memory_tokens))


def read_cases(cases: str | None, files: list[str] | None) -> list[tuple[str, Path, str]]:
    """(name, file, question) of each case; RefusedError names what is missing."""
    if not cases:
        raise RefusedError("upload a JSON file of cases")
    held = {Path(file).name: Path(file) for file in files or []}
    found: list[tuple[str, Path, str]] = []
    for row in read_rows(Path(cases)):
        record = row.value if isinstance(row.value, dict) else {}
        video, question = record.get("video_path"), record.get("query")
        if row.problem or not isinstance(video, str) or not isinstance(question, str):
            problem = row.problem or "video_path and query must be texts"
            raise RefusedError(f"case {len(found) + 1}: {problem}")
        name = Path(video).name  # a path on this machine is never opened
        if name not in held:
            raise RefusedError(f"case {len(found) + 1}: {name:.60} is not among the videos")
        found.append((name, held[name], question))
    if not 1 <= len(found) <= MOST_CASES:
        raise RefusedError(f"1 to {MOST_CASES} cases, got {len(found)}")
    return found
