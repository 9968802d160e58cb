"""Samples that could not be read when their step came: named, counted, and too many end the run."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tempo_lib.fingerprint import write_atomic
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import TrainingError

REPLACED = "replaced.jsonl"  # beside the losses: step, sample, reason
COUNT = "replaced"  # of a step's record; left out at 0
FEWEST = 1000  # samples read before a share of them says much; fewer where there are fewer


def forget_after(out_dir: Path, done: int) -> None:
    """Leave what is named before step ``done``: what comes after it is read again."""
    file = out_dir / REPLACED
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    kept = [line for line in lines if json.loads(line)["step"] < done]
    if kept:
        write_atomic(file, "".join(f"{line}\n" for line in kept))
    else:
        file.unlink(missing_ok=True)


def name_replaced(lost: list[tuple[str, str]], step: int, out_dir: Path, ranks: Ranks) -> None:
    """Say and keep what all ranks lost in a step; all must call it."""
    named = [one for rank in ranks.gather(lost) for one in rank]
    if not ranks.is_main:
        return
    with (out_dir / REPLACED).open("a", encoding="utf-8") as stream:
        for name, reason in named:
            print(f"replaced: sample {name}: {reason}", file=sys.stderr)
            print(json.dumps({"step": step, "sample": name, "reason": reason}), file=stream)


def check_replaced(
    records: Sequence[Mapping[str, float]], num_samples: int, most: float, out_dir: Path
) -> None:
    """TrainingError past the share ``most`` of the samples read so far; the same on every rank."""
    read = sum(int(record["samples"]) for record in records)
    lost = num_replaced(records)
    if lost > most * max(read, min(FEWEST, num_samples)):
        raise TrainingError(
            f"{lost} of {read} samples could not be read, more than the {most:.0%} that may be "
            f"replaced; each is named in {out_dir / REPLACED}: mend those files, or allow more, "
            "and start it again"
        )


def num_replaced(records: Sequence[Mapping[str, float]]) -> int:
    """Samples that others stood in for."""
    return sum(int(record.get(COUNT, 0)) for record in records)
