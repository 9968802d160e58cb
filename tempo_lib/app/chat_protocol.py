"""The chat protocol: what a request holds, which file it names, what a response adds to a text.

Everything beyond the protocol lies in the field ``tempo``: numbers in a request, scores and token
counts in a response. No URL is ever fetched.
"""

import base64
import binascii
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from pydantic import BaseModel, ConfigDict

from tempo_lib import prompts
from tempo_lib.app.ask_request import RefusedError, Result

SUFFIXES = {"video/mp4": ".mp4", "video/webm": ".webm", "image/png": ".png", "image/jpeg": ".jpg"}


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")  # clients send fields of every kind


class Numbers(BaseModel):
    """The field ``tempo`` of a request."""

    model_config = ConfigDict(extra="forbid")

    budget: int | None = None
    k_min: int | None = None
    max_frames: int | None = None
    adaptive: bool = True


class Link(_Lenient):
    """Where a video or an image lies."""

    url: str


class Part(_Lenient):
    """One part of a message."""

    type: Literal["text", "video_url", "image_url"]
    text: str = ""
    video_url: Link | None = None
    image_url: Link | None = None


class Message(_Lenient):
    """One turn; only the last of the user is answered."""

    role: str
    content: str | list[Part] | None = None


class Chat(_Lenient):
    """A request."""

    messages: list[Message]
    model: str = ""
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None
    tempo: Numbers = Numbers()


def question_of(messages: list[Message]) -> tuple[str, str | None]:
    """Text of the last user message, and the last video or image of all. RefusedError for two."""
    mine = [message for message in messages if message.role == "user"]
    if not mine:
        raise RefusedError("the request has no message of role user")
    urls: list[str] = []
    for message in mine:
        parts = message.content if isinstance(message.content, list) else []
        links = [part.video_url or part.image_url for part in parts if part.type != "text"]
        found = [link.url for link in links if link is not None]
        if len(found) > 1:
            raise RefusedError(f"one video per message, got {len(found)}")
        urls += found
    content = mine[-1].content or ""
    parts = [Part(type="text", text=content)] if isinstance(content, str) else content
    return "\n".join(part.text for part in parts if part.type == "text"), urls[-1] if urls else None


def from_data_url(url: str) -> tuple[str, bytes]:
    """Suffix and bytes of a base64 data URL of a video or image, else RefusedError."""
    head, _, text = url[5:].partition(",")
    mime, _, coding = head.partition(";")
    if not mime.startswith(("video/", "image/")) or coding != "base64":
        raise RefusedError("a data URL must be data:video/...;base64, or data:image/...;base64,")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError("the data URL is not valid base64") from error
    return SUFFIXES.get(mime, ""), content


def served_path(url: str, folder: Path | None) -> Path:
    """A file below ``folder``, links followed, else RefusedError that names no file of ours."""
    parsed = urlparse(url)
    if parsed.scheme not in ("", "file") or parsed.netloc:
        raise RefusedError("no URL is fetched: send a data URL, or a path below --videos")
    if folder is None:
        raise RefusedError("paths are not served: start with --videos FOLDER, or send a data URL")
    root = folder.resolve()
    try:
        path = (root / unquote(parsed.path)).resolve()
        is_file = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        raise RefusedError("no such video below the folder of --videos")
    return path


def extras(result: Result) -> dict[str, Any]:
    """Token usage, and what the protocol has no place for."""
    answer = result.answers[0]
    num_new = len(answer.token_ids)
    usage = {
        "prompt_tokens": result.num_prompt_tokens,
        "completion_tokens": num_new,
        "total_tokens": result.num_prompt_tokens + num_new,
        "prompt_tokens_details": {"visual_tokens": answer.tokens_used},
    }
    tempo = {
        "counts": answer.counts.tolist(),
        "scores": answer.scores.tolist(),
        "seconds": answer.seconds.tolist(),
        "timestamps": [prompts.timestamp(second) for second in answer.seconds.tolist()],
        "budget": answer.budget,
        "tokens_used": answer.tokens_used,
        "timing_seconds": {name: round(value, 4) for name, value in result.seconds.items()},
    }
    return {"usage": usage, "tempo": tempo}
