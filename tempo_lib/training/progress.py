"""The state of an interrupted training: whole or absent, and only for the run that wrote it.

A state is written into ``state/step-N.part`` and gets its name once everything is in it, so model,
optimiser and losses are always of one step, whenever the process is killed. It holds the facts of
its run; a run of other data or numbers is refused instead of going on from it. Other ranks may go
on: the samples of a step and their loss do not depend on how many there are.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from tempo_lib.checkpoints.sharded import PROGRESS
from tempo_lib.fingerprint import digest, write_atomic
from tempo_lib.training.index import Index
from tempo_lib.training.records import Sample, TrainingError

if TYPE_CHECKING:
    from tempo_lib.training.ranks import Ranks

STATE, FACTS, LOSSES, LOCK = "state", PROGRESS, "losses.jsonl", "training.lock"
SKIPPED = "skipped.json"
PART = ".part"
CODE, RANKS = "code", "ranks"  # facts that may differ: it is said, and the run goes on


class Holder(Protocol):
    """What holds weights and optimiser, and writes and reads them in a folder."""

    @property
    def ranks(self) -> "Ranks":
        """The processes that hold it together."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything into ``folder``, from all ranks."""
        ...

    def load(self, folder: Path) -> None:
        """Read it back."""
        ...


class ResumeError(TrainingError):
    """A folder holds another run, or a run that is still at work; the message names the way out."""


def data_digest(samples: Sequence[Sample]) -> str:
    """Hex SHA-256 over what samples say and over names and sizes of their media.

    A folder of data may move: of a path its last two parts count. An index knows its own.
    """
    if isinstance(samples, Index):
        return samples.digest
    return digest([sample_facts(one) for one in samples])


def sample_facts(one: Sample) -> tuple[Any, ...]:
    """What a digest is over, for one sample."""
    said = one.turns or (one.question, one.answer)
    rest = (one.window, one.system, [_medium(path) for path in one.all_media])
    return (one.id, one.query, said, *rest, *([one.part] if one.part else []))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, as "seed 0, now 1"; "" for equal facts. A fact that ``before`` lacks is equal.

    Hashes are cut to eight digits.
    """
    named = []
    for name, value in now.items():
        was = before.get(name, value)
        if isinstance(was, Mapping) and isinstance(value, Mapping):
            named += [f"{name}: {found}" for found in [differences(was, value)] if found]
        elif was != value:
            named.append(f"{name} {_short(was)}, now {_short(value)}")
    return "; ".join(named)


def check_same_run(where: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """ResumeError where ``where`` was made with other facts; other code and ranks are only said."""
    found = differences({k: v for k, v in before.items() if k not in (CODE, RANKS)}, now)
    if found:
        raise ResumeError(
            f"{where} is of another run: {found}; add --fresh, or choose another folder"
        )
    if before.get(CODE, now.get(CODE)) != now.get(CODE):
        print(f"note: {where} was written by other code than this", file=sys.stderr)
    if before.get(RANKS, now.get(RANKS)) != now.get(RANKS):
        print(f"note: {where} was written by {before[RANKS]} ranks", file=sys.stderr)


def newest_state(out_dir: Path) -> Path | None:
    """The last whole state of a training; None where there is none.

    ResumeError for a state as versions before 2026-11-27 wrote it, which names no run.
    """
    folder = out_dir / STATE
    if (folder / FACTS).is_file():
        raise ResumeError(f"{folder} was written by an older version: add --fresh")
    return max(_states(out_dir), default=None)


def check_resume(out_dir: Path, facts: Mapping[str, Any]) -> None:
    """ResumeError where ``out_dir`` holds the state of another run than the one of ``facts``."""
    state = newest_state(out_dir)
    if state is not None:
        before = json.loads((state / FACTS).read_text(encoding="utf-8"))
        check_same_run(state, before["facts"], facts)


def save_state(
    holder: Holder,
    out_dir: Path,
    done: int,
    records: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    keep: int = 1,
) -> None:
    """Write the state after ``done`` steps from all ranks, then drop all but the last ``keep``.

    Whatever fails, a full disk too, leaves the states before it as they were.
    """
    whole = out_dir / STATE / f"step-{done:08d}"
    part = whole.with_name(whole.name + PART)
    if holder.ranks.is_main:
        shutil.rmtree(part, ignore_errors=True)  # of a save that was killed
        part.mkdir(parents=True)
    holder.ranks.wait()
    holder.save(part)
    holder.ranks.wait()
    if not holder.ranks.is_main:
        return
    write_losses(part, records)
    write_atomic(part / FACTS, json.dumps({"done": done, "facts": dict(facts)}))
    os.replace(part, whole)
    kept = sorted(_states(out_dir))[-keep:]
    for path in (out_dir / STATE).iterdir():
        if path not in kept:
            shutil.rmtree(path)
    write_losses(out_dir, records)


def load_state(holder: Holder, out_dir: Path) -> tuple[int, list[dict[str, float]]]:
    """(steps done, their records) of an interrupted run; (0, []) of a new one."""
    state = newest_state(out_dir)
    if state is None:
        return 0, []
    holder.load(state)
    done = int(json.loads((state / FACTS).read_text(encoding="utf-8"))["done"])
    lines = (state / LOSSES).read_text(encoding="utf-8").splitlines()
    return done, [json.loads(line) for line in lines]


def drop_state(out_dir: Path) -> None:
    """Remove the states of a training that has ended, and what kills left half-written."""
    shutil.rmtree(out_dir / STATE, ignore_errors=True)
    for pattern in (".*.partial", ".tmp??????"):  # ours, and safetensors' own
        for path in out_dir.glob(pattern):
            path.unlink(missing_ok=True)


def write_losses(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """One line per step, whole or not at all."""
    write_atomic(folder / LOSSES, "".join(f"{json.dumps(record)}\n" for record in records))


def write_skipped(
    out_dir: Path, num_samples: int, broken: Mapping[Path, str], is_main: bool
) -> None:
    """Say beside the checkpoint how many samples are left out, and which broken files they show."""
    if not is_main:
        return
    (out_dir / SKIPPED).unlink(missing_ok=True)
    if broken:
        short = {path: "/".join(path.parts[-2:]) for path in broken}
        files = {short[path]: text.replace(str(path), path.name) for path, text in broken.items()}
        content = {"samples": num_samples, "files": files}
        write_atomic(out_dir / SKIPPED, json.dumps(content, indent=1) + "\n")


def num_skipped(out_dir: Path) -> int:
    """Samples that were left out of a training."""
    file = out_dir / SKIPPED
    return int(json.loads(file.read_text(encoding="utf-8"))["samples"]) if file.is_file() else 0


@contextmanager
def locked(out_dir: Path, is_main: bool) -> Iterator[None]:
    """Hold ``out_dir`` while its main process trains; ResumeError where another one holds it.

    A process that dies lets go by itself. Where the system has no such locks nothing is held.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        is_main = False
    if not is_main:
        yield
        return
    out_dir.mkdir(parents=True, exist_ok=True)
    with (out_dir / LOCK).open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResumeError(f"{out_dir}: {_holder(stream)} trains there already") from None
        stream.truncate(0)
        print(os.getpid(), file=stream, flush=True)
        try:
            yield
        finally:
            (out_dir / LOCK).unlink(missing_ok=True)


def _states(out_dir: Path) -> list[Path]:
    """Whole states, in no order."""
    states = (out_dir / STATE).glob("step-*")
    return [one for one in states if one.suffix != PART and (one / FACTS).is_file()]


def _holder(stream: TextIO) -> str:
    stream.seek(0)
    return f"process {stream.read().strip() or 'unknown'}"


def _medium(path: Path) -> tuple[str, int]:
    size = path.stat().st_size if path.is_file() else 0
    return "/".join(path.parts[-2:]), size


def _short(value: Any) -> str:
    text = str(value)
    is_hash = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:8] if is_hash else text
