"""Decode in a process of its own, which is ended when it hangs, eats memory or crashes.

The child opens the file, writes one line of JSON with the facts of the stream, then the sampled
frames, raw. The parent waits for each of them no longer than the deadline. Nothing of the child's
library runs here, so a decoder that brings its process down costs one file, not the caller's run.

Shape suffixes: T sampled frames, H height, W width.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tempo_lib.video.base import Salvaged, VideoError, video_error

MEBIBYTE = 1 << 20
CODE = "import sys; from tempo_lib.video.safe import child; sys.exit(child())"
OUT_OF_MEMORY = "memory"  # how the child names its own MemoryError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a child process may take.

    ``seconds``: longest wait for the file to open, and for each sampled frame after it (a whole
    film may take hours, a decoder that hangs gives nothing). ``mebibytes``: most memory of its own.
    """

    seconds: float = 120.0
    mebibytes: int = 6144  # an 8K film with frame threads needs about 2 GiB

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.mebibytes > 0):
            raise ValueError(f"bounds must be positive, got {self.seconds} s, {self.mebibytes} MiB")


@dataclass(frozen=True, eq=False, kw_only=True)
class ChildStream:
    """What a child says of a file, as ``VideoStream`` has it; each pass over it is a new child."""

    iter_frames: Callable[[], Generator[np.ndarray]]  # yields T times uint8 (H, W, 3)
    fps: float
    seconds: np.ndarray  # float64 (T,)
    is_image: bool
    salvaged: Salvaged | None

    def end(self) -> None:
        """Want no frames: the child that opened the file is ended."""
        frames = self.iter_frames()
        next(frames, None)
        frames.close()


def open_in_child(
    path: Path,
    options: Sequence[Any],
    bounds: Bounds | None = None,
    target: str = "tempo_lib.video.clip:open_video",
) -> ChildStream:
    """Call ``target`` (module:function) with the path and options in a child process.

    Raises VideoError with one line where the child reports an error, gives nothing for
    ``bounds.seconds``, needs more than ``bounds.mebibytes``, or crashes.
    """
    bounds = bounds or Bounds()
    running: list[_Child] = [_Child(target, path, options, bounds)]
    facts = running[0].message()

    def frames() -> Generator[np.ndarray]:
        # the first pass goes on with the child that opened the file
        one = running.pop() if running else _Child(target, path, options, bounds)
        try:
            found = one.message()
            while "end" not in found:
                if "shape" in found:  # a second pass meets the facts again
                    yield one.frame(found["shape"])
                found = one.message()
        finally:
            one.end()

    lost = facts["salvaged"]
    return ChildStream(
        iter_frames=frames,
        fps=facts["fps"],
        seconds=np.array(facts["seconds"], dtype=np.float64),
        is_image=facts["image"],
        salvaged=None if lost is None else Salvaged(**lost),
    )


def child() -> int:
    """What the child process does: one request on standard input, one stream on standard output."""
    request = json.loads(sys.stdin.readline())
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the frames
    _limit_memory(request["mebibytes"])
    module, function = request["target"].split(":")
    try:
        opener = getattr(importlib.import_module(module), function)
        stream = opener(request["path"], *request["options"])
        facts = {"fps": stream.fps, "seconds": stream.seconds.tolist(), "image": stream.is_image}
        lost = None if stream.salvaged is None else asdict(stream.salvaged)
        _say(out, {**facts, "salvaged": lost})
        for frame_HW3 in stream.iter_frames():
            _say(out, {"shape": frame_HW3.shape})
            out.write(np.ascontiguousarray(frame_HW3).data)
            out.flush()
        _say(out, {"end": True})
    except (VideoError, ValueError) as error:
        _say(out, {"error": OUT_OF_MEMORY if _is_memory(error) else str(error)})
    except (MemoryError, OSError) as error:
        _say(out, {"error": OUT_OF_MEMORY if _is_memory(error) else repr(error)})
    return 0


class _Child:
    """A running child: reads its stream within the bounds; ended at the first problem."""

    def __init__(self, target: str, path: Path, options: Sequence[Any], bounds: Bounds) -> None:
        self._path, self._bounds = path, bounds
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", CODE],  # -P: the current folder hides no module
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        request = {"target": target, "path": str(path), "options": list(options)}
        text = json.dumps({**request, "mebibytes": bounds.mebibytes}) + "\n"
        self._stdin, self._out = self._process.stdin, self._process.stdout
        assert self._stdin is not None and self._out is not None
        self._stdin.write(text.encode())
        self._stdin.close()
        self._held = bytearray()
        self._wait_again()

    def message(self) -> dict[str, Any]:
        """The next line of JSON; VideoError where the child reports or meets its end."""
        while (end := self._held.find(b"\n")) < 0:
            self._read_more()
        found = json.loads(self._take(end + 1))
        self._wait_again()
        if "error" not in found:
            return found
        self.end()
        if found["error"] == OUT_OF_MEMORY:
            raise video_error(self._path, f"decoding needs more than {self._bounds.mebibytes} MiB")
        raise VideoError(found["error"])

    def frame(self, shape: list[int]) -> np.ndarray:
        """The picture that follows a message with its shape."""
        size = int(np.prod(shape))
        while len(self._held) < size:
            self._read_more()
        return np.frombuffer(self._take(size), np.uint8).reshape(shape)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        assert self._out is not None
        self._out.close()

    def _wait_again(self) -> None:
        self._deadline = time.monotonic() + self._bounds.seconds

    def _read_more(self) -> None:
        assert self._out is not None
        left = self._deadline - time.monotonic()
        ready = left > 0 and select.select([self._out], [], [], left)[0]
        if not ready:
            self.end()
            said = f"the decoder gave nothing for {self._bounds.seconds:g} s and was ended"
            raise video_error(self._path, said)
        data = os.read(self._out.fileno(), MEBIBYTE)
        if not data:
            code = self._process.wait()
            self.end()
            named = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise video_error(self._path, f"the decoder crashed ({named})")
        self._held += data

    def _take(self, size: int) -> bytes:
        data = bytes(self._held[:size])
        del self._held[:size]
        return data


def _limit_memory(mebibytes: int) -> None:
    """Bound this process's own memory where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    hard = resource.getrlimit(kind)[1]
    wanted = mebibytes * MEBIBYTE
    resource.setrlimit(kind, (wanted if hard < 0 else min(wanted, hard), hard))


def _is_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is the system's refusal of more memory."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == 12:
            return True
        error = error.__cause__
    return False


def _say(out: IO[bytes], message: dict[str, Any]) -> None:
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()
