"""An OpenAI-compatible chat endpoint over the engine: what ``tempo serve`` answers.

One user message with one video (a ``video_url`` or ``image_url`` that is a data URL, or a path
below a folder that was opened for it) and a text, answered at once or as a stream.
"""

import hashlib
import hmac
import json
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tempo_lib import prompts
from tempo_lib.app.ask_request import EXPECTED, AskRequest, BusyError, Progress, Result
from tempo_lib.app.chat_protocol import Chat, extras, from_data_url, question_of, served_path
from tempo_lib.app.engine import Engine

MOST_BYTES = 64 * 2**20  # of a request
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


class HTTPRefusal(Exception):
    """A refusal with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(
    engine: Engine,
    *,
    videos: Path | None = None,
    api_key: str | None = None,
    loopback: bool = True,
    most_bytes: int = MOST_BYTES,
) -> FastAPI:
    """The endpoint as an application.

    ``videos``: paths below it may be named in requests; None: data URLs alone. ``api_key``: wanted
    in every request. ``loopback``: refuse requests whose Host is another one, as those of a page
    that points its own name here.
    """
    app = FastAPI(title="Tempo", docs_url=None, redoc_url=None, openapi_url=None)
    name = f"tempo-{engine.model.config.preset}"
    places = threading.BoundedSemaphore(engine.max_waiting + 1)  # bodies held in memory at once
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK if loopback else ["*"])

    @app.exception_handler(HTTPRefusal)
    async def refuse(_: Request, error: HTTPRefusal) -> JSONResponse:
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
        body = {"message": str(error), "type": kind, "code": error.status}
        return JSONResponse({"error": body}, status_code=error.status)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        _authorise(request, api_key)
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "tempo"}]}

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Any:
        _authorise(request, api_key)
        if not places.acquire(blocking=False):
            raise HTTPRefusal(429, "too many requests at once; try again in a moment")
        reply: _Reply | None = None
        release: Callable[[], Any] = places.release
        try:
            chat = _parsed(await _body(request, most_bytes))
            reply = _Reply(chat, name, engine, videos)
            release = weakref.finalize(reply, release)  # a stream that is left early ends there
            await run_in_threadpool(reply.start)
            if chat.stream:
                stream = iterate_in_threadpool(reply.events())
                return StreamingResponse(stream, media_type="text/event-stream")
            return JSONResponse(await run_in_threadpool(reply.whole))
        except EXPECTED as error:
            status = 429 if isinstance(error, BusyError) else 400
            raise HTTPRefusal(status, str(error)) from error
        finally:
            if reply is None or not reply.is_streaming:
                release()

    return app


class _Reply:
    """One request from its video to its answer; what it holds on disk goes with it."""

    def __init__(self, chat: Chat, name: str, engine: Engine, videos: Path | None) -> None:
        self._chat, self._name, self._engine, self._videos = chat, name, engine, videos
        self._id, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._cancel = threading.Event()
        self._found: Iterator[Progress | Result] = iter(())
        self.is_streaming = False

    def start(self) -> None:
        """Put the question into the queue; for a stream also wait until its video is read.

        So what is wrong with it is said with a status of its own.
        """
        try:
            self._found = self._engine.ask(self._ask_request(), self._cancel)
            if self._chat.stream:
                self._first = next(
                    event
                    for event in self._found
                    if isinstance(event, Result) or event.stage == "answering"
                )
                self.is_streaming = True
        except BaseException:
            self._clear()
            raise

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        try:
            *_, result = self._found
            assert isinstance(result, Result)
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": result.answers[0].text},
                "finish_reason": self._reason(result),
            }
            shared = self._shared("chat.completion")
            return {**shared, "choices": [choice], **extras(result)}
        finally:
            self._clear()

    def events(self) -> Iterator[str]:
        """The answer as server-sent events; a client that leaves ends the work."""
        sent = ""
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            for event in (self._first, *([] if isinstance(self._first, Result) else self._rest())):
                text = event.answers[0].text if isinstance(event, Result) else event.text
                if len(text) > len(sent):
                    yield self._chunk({"content": text[len(sent) :]})
                    sent = text
                if isinstance(event, Result):
                    yield self._chunk({}, event)
        except EXPECTED as error:
            yield _event({"error": {"message": str(error), "type": "server_error"}})
        finally:
            self._clear()
        yield "data: [DONE]\n\n"

    def _rest(self) -> Iterator[Progress | Result]:
        yield from self._found

    def _chunk(self, delta: dict[str, Any], result: Result | None = None) -> str:
        reason = None if result is None else self._reason(result)
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        more = {} if result is None else extras(result)
        return _event({**self._shared("chat.completion.chunk"), "choices": [choice], **more})

    def _shared(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._name}

    def _reason(self, result: Result) -> str:
        ids = result.answers[0].token_ids
        is_over = ids[-1:] == [self._engine.model.encoder.special(prompts.IM_END)]
        return "stop" if is_over else "length"

    def _clear(self) -> None:
        self._cancel.set()
        if self._folder is not None:
            self._folder.cleanup()

    def _ask_request(self) -> AskRequest:
        chat, numbers = self._chat, self._chat.tempo
        question, url = question_of(chat.messages)
        path, key = (None, None) if url is None else self._file(url)
        return AskRequest(
            path=path,
            question=question,
            owner="api",
            key=key,
            budgets=() if numbers.budget is None else (numbers.budget,),
            k_min=numbers.k_min,
            max_frames=numbers.max_frames,
            max_new_tokens=chat.max_completion_tokens or chat.max_tokens,
            temperature=chat.temperature or 0.0,
            adaptive=numbers.adaptive,
            seed=chat.seed or 0,
        )

    def _file(self, url: str) -> tuple[Path, Any]:
        """The file that a URL names, and what two requests about one file share."""
        if url.startswith("data:"):
            suffix, content = from_data_url(url)
            self._folder = tempfile.TemporaryDirectory(prefix="tempo-")
            path = Path(self._folder.name) / f"upload{suffix}"
            path.write_bytes(content)
            return path, hashlib.sha256(content).hexdigest()
        path = served_path(url, self._videos)
        facts = path.stat()
        return path, (str(path), facts.st_size, facts.st_mtime_ns)


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _authorise(request: Request, api_key: str | None) -> None:
    if api_key is None:
        return
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {api_key}".encode()):
        raise HTTPRefusal(401, "a valid API key is wanted: Authorization: Bearer KEY")


async def _body(request: Request, most_bytes: int) -> bytes:
    """The request's bytes, never more than allowed."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPRefusal(415, "the request must be application/json")
    too_large = HTTPRefusal(413, f"a request may have {most_bytes // 2**20} MiB at most")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most_bytes:
        raise too_large
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) > most_bytes:
            raise too_large
    return bytes(held)


def _parsed(body: bytes) -> Chat:
    try:
        return Chat.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise HTTPRefusal(400, f"{place or 'the request'}: {first['msg']}") from error
