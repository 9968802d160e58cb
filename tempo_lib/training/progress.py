"""The state of an interrupted training: whole or absent, and only for the run that wrote it.

A state is written into ``state/step-N.part`` and gets its name once everything is in it, so model,
optimiser and losses are always of one step, whenever the process is killed. It holds the facts of
its run; a run of other data or numbers is refused instead of going on from it.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tempo_lib.fingerprint import digest, write_atomic

if TYPE_CHECKING:
    from tempo_lib.training.data import Sample
    from tempo_lib.training.parallel import Ranks

STATE, FACTS, LOSSES = "state", "progress.json", "losses.jsonl"
PART = ".part"
MAY_DIFFER = ("code", "num_ranks")  # recorded; a step's samples and loss depend on neither


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


class ResumeError(ValueError):
    """A folder holds another run; the message names what differs and the way out."""


def data_digest(samples: Sequence["Sample"]) -> str:
    """Hex SHA-256 over what samples say and over the names of their media."""
    rows = [
        (one.id, one.question, one.answer, one.window, one.media.name if one.media else "")
        for one in samples
    ]
    return digest(rows)


def check_same_run(where: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """ResumeError, naming what differs, where ``where`` was made with other facts.

    Code and number of ranks may differ; a fact that ``before`` lacks is equal.
    """
    names = [name for name in now if name in before and name not in MAY_DIFFER]
    changed = [name for name in names if before[name] != now[name]]
    if changed:
        named = "; ".join(f"{name} {before[name]!s:.40}, now {now[name]!s:.40}" for name in changed)
        raise ResumeError(f"{where} is of another run: {named}; add --fresh, or another folder")


def newest_state(out_dir: Path) -> Path | None:
    """The last whole state of a training; None where there is none.

    ResumeError for a state as older versions wrote it, which names no run.
    """
    if (out_dir / STATE / FACTS).is_file():
        raise ResumeError(f"{out_dir / STATE} was written by an older version: add --fresh")
    return max(_states(out_dir), default=None)


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
        for path in (out_dir / STATE).glob(f"*{PART}"):
            shutil.rmtree(path)  # of a save that was killed
        part.mkdir(parents=True)
    holder.ranks.wait()
    holder.save(part)
    holder.ranks.wait()
    if holder.ranks.is_main:
        write_losses(part, records)
        write_atomic(part / FACTS, json.dumps({"done": done, "facts": dict(facts)}))
        if whole.is_dir():
            shutil.rmtree(whole)
        os.replace(part, whole)
        for path in sorted(_states(out_dir))[:-keep]:
            shutil.rmtree(path)
        write_losses(out_dir, records)
    holder.ranks.wait()


def load_state(
    holder: Holder, out_dir: Path, facts: Mapping[str, Any]
) -> tuple[int, list[dict[str, float]]]:
    """(steps done, their records) of an interrupted run; (0, []) of a new one.

    ResumeError where the state is of another run than the one of ``facts``.
    """
    state = newest_state(out_dir)
    if state is None:
        return 0, []
    before = json.loads((state / FACTS).read_text(encoding="utf-8"))
    check_same_run(state, before["facts"], facts)
    holder.load(state)
    lines = (state / LOSSES).read_text(encoding="utf-8").splitlines()
    return int(before["done"]), [json.loads(line) for line in lines]


def drop_state(out_dir: Path) -> None:
    """Remove the states of a training that has ended."""
    shutil.rmtree(out_dir / STATE, ignore_errors=True)


def write_losses(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """One line per step, whole or not at all."""
    write_atomic(folder / LOSSES, "".join(f"{json.dumps(record)}\n" for record in records))


def _states(out_dir: Path) -> list[Path]:
    """Whole states, in no order."""
    states = (out_dir / STATE).glob("step-*")
    return [one for one in states if one.suffix != PART and (one / FACTS).is_file()]
