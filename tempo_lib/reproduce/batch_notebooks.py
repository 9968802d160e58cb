"""What the batch run must know of each notebook, read from its file without running it.

Its results are the names that it gives to ``start_run``; its parameters decide what it is given
and which records it needs. So no list of notebooks is kept anywhere.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.reproduce.notebook_lint import Parameter, read_parameters

# The batch run takes whole suites, and all of them where a notebook takes several: what 0 and "all"
# mean is part of these parameters' comments.
BATCH_PARAMETERS: dict[str, Any] = {
    "num_questions": 0,
    "suites": list(SUITE_SECONDS),
    "variants": ["all"],
}
LESSONS = "4"  # how the number of a lesson begins


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """One notebook as its file tells: the results it starts and the parameters it declares."""

    path: Path
    results: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    source: str

    @property
    def name(self) -> str:
        return self.path.stem

    def _enough(self, num_questions: int) -> int:
        """``num_questions``, or its own number where that is more; 0 is all of them."""
        own = self.parameters.get("num_questions")
        numbers = [num_questions, num_questions if own is None else int(own.default)]
        return 0 if 0 in numbers else max(numbers)

    @property
    def is_slow(self) -> bool:
        """A lesson about a suite: asked whole, its experiments take minutes a checkpoint."""
        return self.name.startswith(LESSONS) and "suite" in self.parameters

    @property
    def short_names(self) -> set[str]:
        """What it may be called: 10_table2c_head, table2c_head, table2c, 10."""
        number, _, rest = self.name.partition("_")
        return {self.name, number, rest, rest.split("_")[0]}

    def batch_parameters(
        self, preset: str, num_questions: int = 0, by_name: bool = False
    ) -> dict[str, Any]:
        """What the batch run gives it; ``num_questions`` of each suite, 0 for all of them.

        A slow one keeps its own small numbers unless it was asked for ``by_name``. None gets fewer
        questions than it has by default: some pick their examples from those.
        """
        wanted: dict[str, Any] = {"preset": preset}
        if by_name or not self.is_slow:
            wanted |= {**BATCH_PARAMETERS, "num_questions": self._enough(num_questions)}
        return {name: value for name, value in wanted.items() if name in self.parameters}


def find_notebooks(root: Path) -> list[Notebook]:
    """Every notebook of a project. ValueError for none, or where two make one result."""
    found = [read_notebook(path) for path in sorted((root / "notebooks").glob("*.ipynb"))]
    if not found:
        raise ValueError(f"no notebooks in {root / 'notebooks'}; set TEMPO_HOME to a checkout")
    made_by: dict[str, str] = {}
    for notebook in found:
        for result in notebook.results:
            other = made_by.setdefault(result, notebook.name)
            if other != notebook.name:
                raise ValueError(
                    f"{other} and {notebook.name} both make {result}; rename one's start_run"
                )
    return found


def read_notebook(path: Path) -> Notebook:
    """Results and parameters of one notebook. ValueError where its file cannot be read."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in code]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} is not a readable notebook: {error!r}") from error
    tagged = [
        source
        for cell, source in zip(code, sources, strict=True)
        if "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    parameters, problems = read_parameters("\n".join(tagged))
    if problems:
        raise ValueError(f"{path.name}: {'; '.join(problems)}")
    source = "\n".join(sources)
    values = {name: parameter.default for name, parameter in parameters.items()}
    results = _started(source, {**values, **BATCH_PARAMETERS})
    if results is None:
        raise ValueError(f"{path.name}: give start_run a plain name, or one of a list of them")
    return Notebook(path=path, results=tuple(results), parameters=parameters, source=source)


def pick_notebook(root: Path, wanted: str) -> Notebook:
    """The notebook of that name, number or result. ValueError lists the known ones."""
    known = find_notebooks(root)
    name = wanted.removesuffix(".ipynb")
    found = [book for book in known if name in book.results]
    found = found or [book for book in known if name in book.short_names]
    if len(found) == 1:
        return found[0]
    how_many = "several notebooks are" if found else "no notebook or result is"
    listed = "; ".join(f"{book.name} ({', '.join(book.results) or 'none'})" for book in known)
    raise ValueError(f"{how_many} called {wanted!r}; known, with their results: {listed}")


def suites_of(notebook: Notebook) -> list[str]:
    """Suites whose records a notebook reads in the batch run; a slow one asks for itself."""
    if notebook.is_slow:
        return []
    if "suites" in notebook.parameters:
        return list(BATCH_PARAMETERS["suites"])
    named = [
        name
        for parameter in notebook.parameters.values()
        for name in (
            parameter.default if isinstance(parameter.default, list) else [parameter.default]
        )
    ]
    return [name for name in dict.fromkeys(map(str, named)) if name in SUITE_SECONDS]


def _started(source: str, values: Mapping[str, Any]) -> list[str] | None:
    """Names given to start_run, plain or in a loop over listed ones; None where one is neither."""
    known, found = dict(values), list[str]()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            known[statement.targets[0].id] = _evaluated(statement.value, known)
        nodes = list(ast.walk(statement))
        loops = {id(n.elt): n.generators for n in nodes if isinstance(n, ast.ListComp)}
        loops |= {id(n.value): n.generators for n in nodes if isinstance(n, ast.DictComp)}
        for call in nodes:
            if not isinstance(call, ast.Call) or ast.unparse(call.func) != "start_run":
                continue
            name = call.args[0]
            loop = ast.ListComp(name, loops.get(id(call), []))
            made = _evaluated(loop if loop.generators else name, known)
            if not made:
                return None
            found += [made] if isinstance(made, str) else made
    return list(dict.fromkeys(found))


def _evaluated(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """The value of an expression of literals and known names; None for any other."""
    code = compile(ast.fix_missing_locations(ast.Expression(node)), "<notebook>", "eval")
    try:
        return eval(code, {"__builtins__": {}, **known})  # without builtins no call gets anywhere
    except Exception:
        return None
