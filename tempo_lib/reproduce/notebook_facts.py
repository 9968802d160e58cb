"""What each notebook makes and takes: from its metadata and by papermill, without running it."""

import ast
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import nbformat
import papermill
from nbformat import NotebookNode
from pydantic import BaseModel, ConfigDict

from tempo_lib.gates import PARAMETER_TYPES, suits

KERNEL_SPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FIGURE, TABLE = (".png", ".pdf", ".csv", ".json"), (".csv", ".json")


class NotebookFacts(BaseModel):
    """``metadata.tempo`` of a notebook: what a batch run must know without running it.

    ``results`` are figures with their tables, ``tables`` come without a picture, ``files`` are
    others; together all that the notebook publishes. ``suites``: those whose records it reads.
    ``inputs``: patterns of files under ``data_manifests`` that it reads. ``slow``: a batch run
    keeps its small defaults and does not publish it, unless it is named. ``real``: it runs on the
    real benchmarks too, by the same cells.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code_sha256: str = ""
    results: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    suites: Literal["all"] | tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    slow: bool = False
    real: bool = False


class Notebook(BaseModel):
    """One notebook file: its facts, its parameters (name -> type and default) and its code."""

    model_config = ConfigDict(frozen=True)

    path: Path
    facts: NotebookFacts
    parameters: dict[str, tuple[str, Any]]
    source: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def made(self) -> tuple[str, ...]:
        """Names of its results."""
        return (*self.facts.results, *self.facts.tables)

    @property
    def files(self) -> list[str]:
        """Names of the files that it publishes."""
        figures = [f"{name}{suffix}" for name in self.facts.results for suffix in FIGURE]
        tables = [f"{name}{suffix}" for name in self.facts.tables for suffix in TABLE]
        return [*figures, *tables, *self.facts.files]

    @property
    def short_names(self) -> set[str]:
        """What it may be called: 10_table2c_head, table2c_head, table2c, 10."""
        number, _, rest = self.name.partition("_")
        return {self.name, number, rest, rest.split("_")[0]}


def read_notebook(path: Path) -> Notebook:
    """Facts and parameters of a notebook. ValueError where it is no notebook that can be run."""
    if not path.is_file():
        raise ValueError(f"no such notebook: {path}")
    try:
        nb = nbformat.read(path, as_version=4)
        facts = NotebookFacts.model_validate(nb.metadata.get("tempo", {}))
    except (ValueError, nbformat.ValidationError) as error:
        raise ValueError(f"{path.name} is not a readable notebook: {error}") from error
    num_tagged = sum("parameters" in c.metadata.get("tags", []) for c in code_cells(nb))
    if num_tagged != 1:
        raise ValueError(f"{path.name} needs one cell tagged 'parameters', found {num_tagged}")
    nb.metadata["kernelspec"] = KERNEL_SPEC
    parameters = {}
    for name, found in papermill.inspect_notebook(nb).items():
        kind = found["inferred_type_name"]
        if kind not in PARAMETER_TYPES:
            known = ", ".join(PARAMETER_TYPES)
            raise ValueError(f"{path.name}: {name} has type {kind}; use one of {known}")
        try:
            default = ast.literal_eval(found["default"])
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"{path.name}: {name} needs a plain literal as its default") from error
        check_value(f"{path.name}: {name}", kind, default)
        parameters[name] = (kind, default)
    source = "\n".join(cell.source for cell in code_cells(nb))
    return Notebook(path=path, facts=facts, parameters=parameters, source=source)


def find_notebooks(root: Path) -> list[Notebook]:
    """Every notebook of a project. ValueError for none, or where two make one result."""
    found = [read_notebook(path) for path in sorted((root / "notebooks").glob("*.ipynb"))]
    if not found:
        raise ValueError(f"no notebooks in {root / 'notebooks'}; set TEMPO_HOME to a checkout")
    made_by: dict[str, str] = {}
    for notebook in found:
        for result in notebook.made:
            other = made_by.setdefault(result, notebook.name)
            if other != notebook.name:
                raise ValueError(f"{other} and {notebook.name} both make {result}; rename one")
    return found


def pick_notebook(known: Sequence[Notebook], wanted: str) -> Notebook:
    """The notebook of that name, number or result. ValueError lists the known ones."""
    name = wanted.removesuffix(".ipynb")
    found = [book for book in known if name in book.made]
    found = found or [book for book in known if name in book.short_names]
    if len(found) == 1:
        return found[0]
    how_many = "several notebooks are" if found else "no notebook or result is"
    listed = "; ".join(f"{book.name} ({', '.join(book.made) or 'none'})" for book in known)
    raise ValueError(f"{how_many} called {wanted!r}; known, with their results: {listed}")


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def code_sha256(nb: NotebookNode) -> str:
    """Hash of all code, in order; stored at execution, so that newer code gives itself away."""
    sources = [cell.source for cell in code_cells(nb)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def check_value(label: str, kind: str, value: Any) -> None:
    """ValueError for a value that does not suit its type: int suits float, bool only bool."""
    if not suits(kind, value):
        raise ValueError(f"{label} must be {kind}, got {value!r} ({type(value).__name__})")
