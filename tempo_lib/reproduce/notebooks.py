"""Run notebooks strictly: what a notebook does not declare, or a mistyped value, stops the run.

papermill only warns about unknown parameters and then runs the defaults, which turns a typing
error into a wrong result. Here everything is checked before a kernel starts; executed copies never
land on their source.

    python -m tempo_lib.reproduce.notebooks [PATHS]                           re-execute in place
    python -m tempo_lib.reproduce.notebooks PATH --to FOLDER --given JSON     run with parameters
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from tempo_lib.provenance import project_root, published_folder
from tempo_lib.reproduce.notebook_facts import KERNEL_SPEC, code_sha256, read_notebook
from tempo_lib.reproduce.notebook_values import check_values

# Cells that papermill adds; they do not count when a reader looks for "cell 7".
ADDED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}
WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookError(RuntimeError):
    """A cell failed; the message names notebook, cell, its source and the error's last line."""


def run_notebook(
    path: Path | str,
    parameters: Mapping[str, Any],
    out_dir: Path | str,
    publish: bool = False,
    timeout: int | None = None,
) -> Path:
    """Execute a notebook with parameters in its own folder; return the executed copy.

    ``publish`` lets the notebook's run copy its results to ``figures/``. ``timeout`` is in seconds
    per cell, None for no limit. Raises ValueError before a kernel starts for a missing notebook,
    values that do not suit it (``check_values``) or an ``out_dir`` that holds the source;
    NotebookError when a cell fails, with the executed copy kept up to that cell.
    """
    path, out_dir = Path(path).resolve(), Path(out_dir).resolve()
    check_values(read_notebook(path), parameters)
    copy = out_dir / path.name
    if out_dir == path.parent or (copy.exists() and copy.samefile(path)):
        raise ValueError(f"the executed copy would replace its source {path}: use another out_dir")
    return _execute(path, copy, parameters, publish=publish, timeout=timeout)


def published(path: Path, parameters: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """What tells each file that the metadata names from one written later; no clock is read."""
    notebook = read_notebook(path)
    _, preset = notebook.parameters.get("preset", ("str", ""))
    folder = published_folder(project_root(), parameters.get("preset", preset))
    files = {name: folder / name for name in notebook.files}
    stats = {name: file.stat() for name, file in files.items() if file.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def check_published(
    path: Path, parameters: Mapping[str, Any], before: Mapping[str, tuple[int, int]]
) -> None:
    """NotebookError where a file that the metadata names was not written since ``before``."""
    now = published(path, parameters)
    missing = [
        name for name in read_notebook(path).files if now.get(name) in (None, before.get(name))
    ]
    if missing:
        raise NotebookError(
            f"{path.name} did not publish {', '.join(missing)}, which its metadata names"
        )


def execute_in_place(path: Path | str, timeout: int | None = None) -> None:
    """Execute a notebook with its defaults; store in it the outputs and the hash of its code.

    On failure the source stays as it was and the executed copy lies under ``runs/notebooks``.
    Raises like run_notebook.
    """
    path = Path(path).resolve()
    read_notebook(path)
    copy = project_root() / "runs" / "notebooks" / path.name
    nb = nbformat.read(_execute(path, copy, {}, publish=False, timeout=timeout), as_version=4)
    _forget_the_machine(nb)
    nb.metadata["tempo"] = {**nb.metadata.get("tempo", {}), "code_sha256": code_sha256(nb)}
    nbformat.write(nb, copy)
    copy.replace(path)


def _execute(
    path: Path, copy: Path, parameters: Mapping[str, Any], *, publish: bool, timeout: int | None
) -> Path:
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)  # an old success must not look like this run's
    try:
        with _environment("TEMPO_PUBLISH", "1" if publish else "0"):
            papermill.execute_notebook(
                path,
                copy,
                parameters=dict(parameters),
                kernel_name=KERNEL_SPEC["name"],
                language="python",
                cwd=path.parent,
                execution_timeout=timeout,
                progress_bar=sys.stderr.isatty(),
                shutdown_kernel="immediate",  # nothing is left to tidy up; waiting takes a second
            )
    except PapermillExecutionError as error:
        last_line = f"{error.ename}: {error.evalue}".strip().splitlines()[-1]
        raise NotebookError(_failure_message(path, copy, last_line)) from error
    except CellTimeoutError as error:
        reason = f"CellTimeoutError: no end within {timeout} seconds"
        raise NotebookError(_failure_message(path, copy, reason)) from error
    except DeadKernelError as error:
        reason = "DeadKernelError: the kernel died, often for want of memory"
        raise NotebookError(_failure_message(path, copy, reason)) from error
    return copy


def _failure_message(path: Path, copy: Path, last_line: str) -> str:
    """Name the failed cell as a reader of the source counts cells, from 1."""
    nb = nbformat.read(copy, as_version=4)
    own = [c for c in nb.cells if not ADDED_TAGS & set(c.metadata.get("tags", []))]
    states = [cell.metadata.get("papermill", {}) for cell in own]
    started = [i for i, state in enumerate(states) if state.get("start_time")]
    # A cell that ran out of time or killed the kernel is marked like a good one: it is the last.
    failed = [i for i, state in enumerate(states) if state.get("exception")] or started[-1:]
    where = "before its first cell"
    if failed:
        where = f"in cell {failed[0] + 1} of {len(own)}:\n\n{own[failed[0]].source}\n"
    return f"{path.name} failed {where}\n{last_line}\nexecuted copy: {copy}"


def _forget_the_machine(nb: NotebookNode) -> None:
    """Drop times, paths and versions that executing wrote, so that equal runs give equal files.

    Widgets go too: they live in a kernel, under random names. The picture beside each stays.
    """
    nb.metadata.pop("papermill", None)
    nb.metadata.pop("widgets", None)
    nb.metadata["kernelspec"] = dict(KERNEL_SPEC)
    nb.metadata["language_info"] = {"name": "python"}
    for cell in nb.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set one variable for the kernel that starts meanwhile: papermill passes on no environment."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit 0 done, 1 a notebook fails, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m tempo_lib.reproduce.notebooks")
    parser.add_argument("paths", nargs="*", type=Path, help="default: notebooks/*.ipynb")
    parser.add_argument("--to", type=Path, help="folder of executed copies; default: in place")
    parser.add_argument("--given", type=json.loads, default={}, help="parameters as JSON")
    parser.add_argument("--publish", action="store_true", help="copy results to figures/")
    chosen = parser.parse_args(arguments)
    if chosen.given and chosen.to is None:
        parser.error("--given needs --to: in place a notebook keeps its defaults")
    failed = 0
    for path in chosen.paths or sorted((project_root() / "notebooks").glob("*.ipynb")):
        try:
            if chosen.to is None:
                execute_in_place(path)
                continue
            before = published(path, chosen.given) if chosen.publish else {}
            run_notebook(path, chosen.given, chosen.to, publish=chosen.publish)
            if chosen.publish:
                check_published(path, chosen.given, before)
        except NotebookError as error:
            print(error, file=sys.stderr)
            failed += 1
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
