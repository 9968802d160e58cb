"""A training's curves in the trackers that accelerate knows, beside the JSON Lines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers

from tempo_lib.fingerprint import digest
from tempo_lib.training.progress import CODE, RANKS
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.records import TrainingError
from tempo_lib.training.run import StageRun

AUTO, NONE = "auto", "none"
TENSORBOARD, WANDB = "tensorboard", "wandb"
PROJECT = "tempo"
LOGS = "logs"  # in the folder of a training, for trackers that write files

Track = Callable[[Mapping[str, float], int], None]  # (values, step)


def tracker_names(chosen: Sequence[str]) -> tuple[str, ...]:
    """The trackers behind ``auto`` (tensorboard where it is installed) and ``none``.

    TrainingError for a tracker that accelerate does not know or that is not installed.
    """
    installed = [str(name.value) for name in get_available_trackers()]
    if list(chosen) == [AUTO]:
        return (TENSORBOARD,) if TENSORBOARD in installed else ()
    if list(chosen) == [NONE]:
        return ()
    known = [str(name) for name in LOGGER_TYPE_TO_CLASS]
    for name in chosen:
        if name not in known:
            raise TrainingError(
                f"unknown tracker {name!r}: {AUTO} or {NONE}, alone, or some of {', '.join(known)}"
            )
        if name not in installed:
            raise TrainingError(f"the tracker {name} is not installed: pip install {name}")
    return tuple(dict.fromkeys(chosen))


@contextmanager
def tracking(run: StageRun, facts: Mapping[str, Any], done: int, ranks: Ranks) -> Iterator[Track]:
    """Open the run's trackers on the main rank, after ``done`` steps; yields what logs a step."""
    names = tracker_names(run.trackers) if ranks.is_main else ()
    trackers = [_open(name, run.out_dir, facts, done) for name in names]

    def track(values: Mapping[str, float], step: int) -> None:
        for tracker in trackers:
            tracker.log(dict(values), step=step)

    try:
        yield track
    finally:
        for tracker in trackers:
            tracker.finish()


def _open(name: str, out_dir: Path, facts: Mapping[str, Any], done: int) -> GeneralTracker:
    """A started tracker; a run that goes on drops or continues what it showed after ``done``."""
    kind = LOGGER_TYPE_TO_CLASS[name]
    same = {key: value for key, value in facts.items() if key not in (CODE, RANKS)}
    more: dict[str, dict[str, Any]] = {
        TENSORBOARD: {"purge_step": done},
        WANDB: {
            "dir": str(out_dir / LOGS),
            "id": digest([str(out_dir.resolve()), same])[:16],
            "resume": "allow",
        },
    }
    (out_dir / LOGS).mkdir(parents=True, exist_ok=True)
    places = (out_dir / LOGS,) if kind.requires_logging_directory else ()
    tracker = kind(PROJECT, *places, **more.get(name, {}))
    tracker.start()
    flat = {**facts, **facts["numbers"]}
    plain = (bool, int, float, str)
    tracker.store_init_configuration(
        {key: value if isinstance(value, plain) else str(value) for key, value in flat.items()}
    )
    return tracker
