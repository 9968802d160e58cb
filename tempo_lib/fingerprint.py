"""Hashes of code, files and content, commit, versions; files written whole or not at all.

One fingerprint answers "which code made this" for records, caches, summaries and figures.
"""

import ast
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import tempo_lib

PACKAGE = Path(__file__).resolve().parent
LIBRARIES = (
    *("tempo-lib", "torch", "transformers", "tokenizers", "accelerate", "numpy", "av", "decord"),
    *("pillow", "pandas", "scipy", "statsmodels", "scikit-learn", "matplotlib", "seaborn"),
    *("papermill", "snakemake"),
)


def code_files(*sources: str | Path) -> list[Path]:
    """Files of this package that modules, or pieces of Python, import: directly or through others.

    Read from the source text, so nothing is imported; what a registry loads must be named too,
    such as the file of a plug-in, which is then among them wherever it lies.
    """
    todo = {source.resolve() for source in sources if isinstance(source, Path)}
    for source in sources:
        if isinstance(source, str):
            is_module = re.fullmatch(r"[\w.]+", source)
            todo |= _imported(f"import {source}" if is_module else source)
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        found.add(file)
        todo |= _imports_of_file(file) - found
    return sorted(found)


@cache  # one hash per process: files that change later are not the code that runs
def code_fingerprint(*sources: str | Path) -> str:
    """Hex SHA-256 of the code behind modules (``code_files``), the same for every kind of result.

    Records, caches, summaries and figures all state this; it changes when any file that they
    depend on does.
    """
    parts = [f"{_short_name(file)} {sha256_of_file(file)}" for file in code_files(*sources)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def git_state(root: Path) -> tuple[str, bool | None]:
    """Return the commit of ``root`` and whether files differ from it; ("unknown", None) if none.

    ``figures/`` does not count: a batch run publishes there, and its first figure must not
    mark the second one as made by changed code.
    """
    toplevel = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if toplevel is None or commit is None or Path(toplevel).resolve() != root.resolve():
        return "unknown", None  # also when root merely lies inside somebody else's repository
    changed = _git(root, "status", "--porcelain", "--", ".", ":(exclude)figures")
    return commit, None if changed is None else bool(changed)


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that results depend on."""
    installed = {}
    for library in LIBRARIES:
        try:
            installed[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue  # optional ones (decord, accelerate) may be absent
    return installed


def digest(content: Any) -> str:
    """Hex SHA-256 of the content as sorted JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a crash leaves the old one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name of the same suffix to write to; the file gets its own name once all is written."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256_of_file(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _short_name(file: Path) -> str:
    """A name that is the same on every machine; outside the package, the last part alone."""
    is_ours = file.is_relative_to(PACKAGE)
    return file.relative_to(PACKAGE).as_posix() if is_ours else file.name


@cache
def _imports_of_file(file: Path) -> frozenset[Path]:
    return _imported(file.read_text(encoding="utf-8"))


def _imported(source: str) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(file for name in names for file in _files_of(name))


def _files_of(name: str) -> list[Path]:
    """The package's files that importing ``name`` runs: its packages and itself."""
    package, *parts = name.split(".")
    if package != PACKAGE.name:
        return []
    if len(parts) == 1 and parts[0] in tempo_lib._HOME:  # loaded on first use: no statement says so
        parts = tempo_lib._HOME[parts[0]].split(".")
    files, folder = [PACKAGE / "__init__.py"], PACKAGE
    for part in parts:
        module, folder = folder / f"{part}.py", folder / part
        files += [file for file in (module, folder / "__init__.py") if file.is_file()]
    return files
