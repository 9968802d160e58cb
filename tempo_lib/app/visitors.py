"""Who looks at the page: each visitor's files, open videos and answers, kept apart and removed.

Files that a visitor gave are kept in a folder of the visitor's own; a browser reaches them by
an address that nobody can guess, and no other path is served.
"""

import os
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tempo_lib.app.ask_request import RefusedError, Result
from tempo_lib.app.engine import Engine
from tempo_lib.app.explorer.payload import Row, film_of, payload, row_of_answer

MOST_FILES = 8  # of one visitor; the oldest goes first


@dataclass
class Visitor:
    """One browser tab: the file on show, answers so far, and a flag that ends the work."""

    name: str
    folder: Path
    path: Path | None = None
    address: str = ""
    rows: list[Row] = field(default_factory=list)
    film: dict[str, Any] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    uploads: list[Path] = field(default_factory=list)  # as the page has put them, oldest first

    def show(self, path: Path | None, address: str = "") -> None:
        """Turn to another file; what was said about the last one is dropped."""
        self.cancel.set()
        self.path, self.address, self.rows, self.film = path, address, [], None

    def keep(self, result: Result, limits: dict[str, int], capacity: int) -> dict[str, Any]:
        """Add the answers of a result; what the explorer shows then, ``{}`` without segments."""
        if result.video is None or result.video.is_image:
            return {}
        if self.film is None or len(self.film["timestamps"]) != len(result.memories.scores):
            seconds_N = result.memories.seconds.double().numpy()
            self.film = film_of(result.video, seconds_N, url=self.address or None)
            self.rows = []
        first = len(self.rows)
        question = result.request.question
        self.rows += [
            row_of_answer(0, question, result.memories, answer, budget=answer.budget)
            for answer in result.answers
        ]
        show = list(range(first, len(self.rows)))
        limits = {**limits, "budget": result.answers[0].budget}
        return payload([self.film], self.rows, limits, capacity, show=show)


class Visitors:
    """All visitors of a page, by the name of their session."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._lock = threading.Lock()
        self._known: dict[str, Visitor] = {}
        self._files: dict[str, Path] = {}  # last part of an address -> file

    def __getitem__(self, name: str) -> Visitor:
        """The visitor of a session, new where it is."""
        with self._lock:
            if name not in self._known:
                folder = self._folder / secrets.token_hex(8)
                folder.mkdir(parents=True)
                self._known[name] = Visitor(name, folder)
            return self._known[name]

    def take(self, visitor: Visitor, uploaded: Path) -> None:
        """Keep a file that was uploaded in the visitor's folder too, and show it."""
        own = sorted(visitor.folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in own[: max(0, len(own) + 1 - MOST_FILES)]:
            self._drop(old)
        target = visitor.folder / f"{secrets.token_hex(4)}{uploaded.suffix.lower()[:8]}"
        try:
            try:
                os.link(uploaded, target)  # the page links to the upload: it stays, at no cost
            except OSError:
                shutil.copyfile(uploaded, target)  # the disk knows no links
        except OSError as error:
            raise RefusedError("the upload did not arrive whole; send it again") from error
        self.hold(visitor, [uploaded])
        for old in visitor.uploads[:-MOST_FILES]:
            self._release(visitor, old)
        self.show(visitor, target)

    def hold(self, visitor: Visitor, uploads: Sequence[Path]) -> None:
        """Remember files where the page has put them, so that they go with the visitor."""
        with self._lock:
            others = [path for path in visitor.uploads if path not in uploads]
            visitor.uploads = [*others, *uploads]

    def show(self, visitor: Visitor, path: Path) -> None:
        """Turn a visitor to a file of theirs, or to an example."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._files[token] = path
        visitor.show(path, f"/film/{token}")

    def file(self, token: str) -> Path | None:
        """The file of an address."""
        with self._lock:
            path = self._files.get(token)
        return path if path is not None and path.is_file() else None

    def leave(self, name: str) -> None:
        """Forget a visitor: files, open videos, the question that is being answered."""
        with self._lock:
            visitor = self._known.pop(name, None)
        if visitor is None:
            return
        visitor.cancel.set()
        self._engine.forget(name)
        for path in visitor.folder.iterdir():
            self._drop(path)
        for path in list(visitor.uploads):
            self._release(visitor, path)
        shutil.rmtree(visitor.folder, ignore_errors=True)

    def _release(self, visitor: Visitor, uploaded: Path) -> None:
        """Remove an upload, unless another tab has sent the very same file."""
        with self._lock:
            visitor.uploads.remove(uploaded)
            is_held = any(uploaded in other.uploads for other in self._known.values())
        if not is_held:
            uploaded.unlink(missing_ok=True)

    def _drop(self, path: Path) -> None:
        with self._lock:
            self._files = {token: kept for token, kept in self._files.items() if kept != path}
        path.unlink(missing_ok=True)
