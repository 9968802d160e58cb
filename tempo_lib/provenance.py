"""Where results go, and the provenance that travels with each of them.

A notebook starts one ``Run``, computes, and saves: ``name.{png,pdf,csv,json}`` under
``runs/<preset>/<name>/``. Only the batch run publishes the same files to ``figures/<preset>/``, so
a quick look never overwrites a result. Importing this is cheap: pandas and matplotlib are loaded
only when a run is saved, torch never.
"""

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from tempo_lib.fingerprint import (
    code_fingerprint,
    git_state,
    library_versions,
    sha256_of_file,
    write_atomic,
    written_whole,
)
from tempo_lib.gates import HasColumn, check_parameters

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PAPER_PRESET = "6b"
REHEARSAL = "-rehearsal"  # ends the name of a preset whose weights are random and videos generated
FIGURE_DPI = 200
RESULT_SUFFIXES = (".png", ".pdf", ".csv", ".json")
CSV_FLOAT_FORMAT = "%.6g"  # float32 carries no more; the rest would be noise in every diff
COLUMN = "-column"  # ends the name of a picture for a column of text, beside the wide one
# Filled in by save(); record() must not overwrite what was measured.
AUTOMATIC_KEYS = frozenset(
    {"name", "preset", "parameters", "seeds", "commit", "dirty", "versions", "python", "platform"}
    | {"rehearsal"}
    | {"started", "finished", "duration_seconds", "threads", "files"}
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One notebook or command at work: its paths, its parameters and its origin."""

    name: str
    preset: str
    parameters: Mapping[str, Any]
    root: Path
    started: datetime
    commit: str  # "unknown" outside a git checkout
    dirty: bool | None  # None where the commit is unknown
    recorded: dict[str, Any] = field(default_factory=dict)  # the only part that grows: see record()

    @property
    def dir(self) -> Path:
        """Folder of this run's own files, ignored by git."""
        return self.root / "runs" / self.preset / self.name

    @property
    def figures_dir(self) -> Path:
        """Folder of published results, kept in git; a rehearsal's stay below ``runs``."""
        return published_folder(self.root, self.preset)

    @property
    def is_paper(self) -> bool:
        """True at the paper's scale, where its published numbers can be compared."""
        return self.preset == PAPER_PRESET

    @property
    def seeds(self) -> dict[str, Any]:
        """The parameters that seed randomness: ``seed`` and every ``*_seed`` or ``*_seeds``."""
        return {k: v for k, v in self.parameters.items() if re.search(r"(^|_)seeds?$", k)}

    def record(self, key: str, value: Any) -> None:
        """Add one fact to the provenance, such as ``data_hash`` or the ``device`` of the model.

        Raises ValueError for keys that are measured here, and for values JSON cannot hold.
        """
        if key in AUTOMATIC_KEYS:
            raise ValueError(f"{key!r} is measured by the run itself; record it under another name")
        _check_json(f"recorded fact {key!r}", value)
        self.recorded[key] = value

    def provenance(self) -> dict[str, Any]:
        """Everything needed to tell where a result came from; no host name, no absolute path."""
        facts = {
            "name": self.name,
            "preset": self.preset,
            "parameters": dict(self.parameters),
            "seeds": self.seeds,
            "commit": self.commit,  # of the start: what ran, whatever was committed since
            "dirty": self.dirty,
            **_circumstances(self.started),
            **({"rehearsal": True} if is_rehearsal(self.preset) else {}),
            "data_hash": None,
            **self.recorded,
        }
        return _portable(facts, self.root)

    def save(
        self, fig: "Figure | None", table: "pd.DataFrame", *, publish: bool | None = None
    ) -> Path:
        """Write figure, table and provenance; return the folder they lie in.

        ``publish``: True also copies them to ``figures/<preset>/``; None asks the environment
        variable TEMPO_PUBLISH, which the batch run sets to 1. ``fig=None`` saves a table alone.
        Processes that save one result wait for each other; what one that was killed left goes.
        """
        from filelock import FileLock

        self.dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self.dir.with_name(f".{self.name}.lock")):
            for folder in (self.dir, self.figures_dir):
                for path in folder.glob(f".{self.name}.*.partial*"):
                    path.unlink()
            return self._save(fig, table, publish)

    def _save(self, fig: "Figure | None", table: "pd.DataFrame", publish: bool | None) -> Path:
        files = [self._write_table(table)]
        if fig is not None:
            files += self._write_figure(fig)
        facts = self.provenance()
        facts["files"] = {path.name: sha256_of_file(path) for path in files}
        provenance_path = self.dir / f"{self.name}.json"
        write_atomic(provenance_path, json.dumps(facts, indent=2) + "\n")
        if publish if publish is not None else os.environ.get("TEMPO_PUBLISH") == "1":
            self._publish([*files, provenance_path])
            return self.figures_dir
        return self.dir

    def _write_table(self, table: "pd.DataFrame") -> Path:
        import pandas as pd

        path = self.dir / f"{self.name}.csv"
        # An unnamed row counter is no data. Its class does not tell: pandas 3 makes a RangeIndex of
        # any evenly spaced whole numbers, budgets included.
        is_counter = table.index.name is None and pd.api.types.is_integer_dtype(table.index)
        with written_whole(path) as part:
            table.to_csv(
                part, index=not is_counter, float_format=CSV_FLOAT_FORMAT, lineterminator="\n"
            )
        return path

    def _write_figure(self, fig: "Figure") -> list[Path]:
        # No date and no program name inside: the same picture gives the same bytes.
        bare = {"metadata": dict.fromkeys(("CreationDate", "Creator", "Producer"))}
        png = {"dpi": FIGURE_DPI, "metadata": {"Software": None}}
        ways: dict[str, tuple[Any, Any]] = {".png": (fig.savefig, png), ".pdf": (fig.savefig, bare)}
        if isinstance(fig, HasColumn):
            ways[f"{COLUMN}.pdf"] = (fig.save_column, {"format": "pdf", **bare})
        for suffix, (save, options) in ways.items():
            with written_whole(self.dir / f"{self.name}{suffix}") as part:
                save(part, **options)
        return [self.dir / f"{self.name}{suffix}" for suffix in ways]

    def _publish(self, files: list[Path]) -> None:
        """Copy all, then give all their names, the provenance last: it says what is whole."""
        self.figures_dir.mkdir(parents=True, exist_ok=True)
        with ExitStack() as last_in_first_out:
            for path in reversed(files):
                target = written_whole(self.figures_dir / path.name)
                shutil.copyfile(path, last_in_first_out.enter_context(target))
            for suffix in RESULT_SUFFIXES:  # no picture may outlive its table
                if not any(path.suffix == suffix for path in files):
                    (self.figures_dir / f"{self.name}{suffix}").unlink(missing_ok=True)


def start_run(name: str, *, preset: str, **parameters: Any) -> Run:
    """Begin a run: note its parameters, the time and the state of the code.

    Raises ValueError when ``name`` or ``preset`` cannot be a file name, or when a parameter is
    nothing JSON can hold, since it could not be written beside the result. In a notebook also for
    a parameter of another type or name than its parameters cell declares (``check_parameters``):
    plain papermill injects anything, and every notebook comes through here before it computes.
    """
    check_parameters(sys._getframe(1).f_globals)
    for label, value in (("name", name), ("preset", preset)):
        if not _SAFE_NAME.fullmatch(value):
            raise ValueError(
                f"{label} must consist of letters, digits, '_', '.' or '-', got {value!r}"
            )
    for key, value in parameters.items():
        _check_json(f"parameter {key!r}", value)
    root = project_root()
    commit, dirty = git_state(root)
    return Run(
        name=name,
        preset=preset,
        parameters=parameters,
        root=root,
        started=datetime.now(UTC),
        commit=commit,
        dirty=dirty,
    )


def provenance_facts(started: datetime, *sources: str | Path) -> dict[str, Any]:
    """When, by which code and on what a result was made, also of a result that has no ``Run``.

    ``sources``: the modules behind it, as ``code_fingerprint`` takes them; its key ``code`` is
    left out without any. Training summaries and measurements hold these facts.
    """
    commit, dirty = git_state(project_root())
    code = {"code": code_fingerprint(*sources)} if sources else {}
    return {"commit": commit, "dirty": dirty, **code, **_circumstances(started)}


def is_rehearsal(preset: str) -> bool:
    """Whether nothing that is measured at this scale means anything."""
    return preset.endswith(REHEARSAL)


def published_folder(root: Path, preset: str) -> Path:
    """Where results of a preset are published: ``figures/<preset>``, of a rehearsal below runs."""
    home = root / "runs" / preset if is_rehearsal(preset) else root
    return home / "figures" / ("" if is_rehearsal(preset) else preset)


def project_root() -> Path:
    """Folder that holds ``runs/`` and ``figures/``.

    The environment variable TEMPO_HOME, else the checkout this package lies in, else (installed
    without a checkout) the current folder. Raises ValueError when TEMPO_HOME is no folder.
    """
    home = os.environ.get("TEMPO_HOME")
    if home:
        if not Path(home).is_dir():
            raise ValueError(f"TEMPO_HOME is not a folder: {home}; make it, or unset the variable")
        return Path(home).resolve()
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def manifest_path(name: str) -> Path:
    """``data_manifests/<name>`` of the project, else of the checkout this package lies in.

    So that a TEMPO_HOME that only takes outputs needs no copy of them.
    """
    own = project_root() / "data_manifests" / name
    return own if own.exists() else Path(__file__).resolve().parents[1] / "data_manifests" / name


def _check_json(label: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label} cannot be written as JSON: {error}") from error


def _circumstances(started: datetime) -> dict[str, Any]:
    """Time, machine and versions of what started then and ends now."""
    finished = datetime.now(UTC)
    duration = round((finished - started).total_seconds(), 1)
    return {
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "duration_seconds": duration if duration >= 0 else None,  # the clock was set back
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": library_versions(),
        **_compute_facts(),
    }


def _compute_facts() -> dict[str, Any]:
    """Device and threads, without importing torch into a run that only redraws."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {"device": "cpu", "threads": None}
    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name(0) if on_gpu else "cpu"
    return {"device": device, "threads": torch.get_num_threads()}


def _portable(value: Any, root: Path) -> Any:
    """Make absolute paths relative to ``root``; of those outside it, keep the last part only."""
    if isinstance(value, Mapping):
        return {key: _portable(item, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, root) for item in value]
    if not isinstance(value, str):
        return value
    if Path(value).is_relative_to(root):
        return Path(value).relative_to(root).as_posix()
    for flavour in (PurePosixPath, PureWindowsPath):
        if flavour(value).is_absolute():
            return flavour(value).name
    return value.replace(f"{root}{os.sep}", "")  # a path inside a sentence
