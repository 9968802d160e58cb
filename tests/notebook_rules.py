"""The rules a committed notebook keeps, read from the file without running it.

The library thinks, a notebook shows: plain literals in one parameters cell, short cells of calls,
prose around them, outputs that belong to the code above them.
"""

import ast
import json
import re
import sys
from pathlib import Path

import nbformat

from tempo_lib.gates import PARAMETER_TYPES
from tempo_lib.provenance import manifest_path, project_root
from tempo_lib.reproduce.notebook_facts import (
    NotebookFacts,
    check_value,
    code_cells,
    code_sha256,
)

MAX_CELL_LINES = 15
SECTIONS = (
    *("Parameters", "Setup", "What we expect", "Compute", "Figure", "Check", "Save", "Try this"),
)
FORBIDDEN_NODES = {
    ast.FunctionDef: "def",
    ast.AsyncFunctionDef: "async def",
    ast.ClassDef: "class",
    ast.Try: "try",
    ast.TryStar: "try",
}
_ABSOLUTE = re.compile(r"/[\w.-]|~[/\\]|[A-Za-z]:[/\\]|file://")


def lint(path):
    """Return what is wrong with a notebook, one sentence each; an empty list if nothing is."""
    try:
        nb = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        return [f"not a readable notebook: {error}"]
    return [
        *_cell_problems(nb),
        *_parameter_problems(nb),
        *_section_problems(nb),
        *_output_problems(nb),
        *_facts_problems(nb),
    ]


def read_parameters(source):
    """Return what a parameters cell declares (name -> type, default) and what is wrong with it.

    Each line reads ``name: type = literal  # meaning`` on its own: papermill finds parameters line
    by line and overlooks one with a second ``=`` anywhere, comment included.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        return {}, [f"the parameters cell is not Python: {error.msg} in line {error.lineno}"]
    found, problems = {}, []
    for statement in statements:
        parsed = _read_parameter(statement, source.splitlines())
        if isinstance(parsed, str):
            problems.append(f"parameters cell, line {statement.lineno}: {parsed}")
        else:
            name, *found[name] = parsed
    return found, problems


def parameter_cells(nb):
    """Code cells tagged ``parameters``; a notebook has exactly one."""
    return [c for c in code_cells(nb) if "parameters" in c.metadata.get("tags", [])]


def _read_parameter(statement, lines):
    """Return the parameter a statement declares, or what is wrong with it."""
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
        return "write every parameter as 'name: type = value  # meaning'"
    name, type_name = statement.target.id, ast.unparse(statement.annotation)
    if type_name not in PARAMETER_TYPES:
        return f"{name} has type {type_name}; use one of {', '.join(PARAMETER_TYPES)}"
    try:
        value = ast.literal_eval(statement.value or ast.Name(""))
    except ValueError:
        return f"{name} needs a plain literal; derived values belong in a later cell"
    try:
        check_value(name, type_name, value)
    except ValueError:
        return f"{name} is declared {type_name}, but its value is {value!r}"
    line = lines[statement.lineno - 1]
    if statement.end_lineno != statement.lineno or line.count("=") != 1:
        return f"{name} must stand on one line with a single '='; papermill overlooks it otherwise"
    if not line.encode()[statement.end_col_offset :].strip().startswith(b"# "):
        return f"{name} needs a trailing comment that says what it means"
    return name, type_name, value


def _cell_problems(nb):
    """Cells that define, are long or empty, or name a place on one machine; too little prose."""
    problems = []
    for number, cell in enumerate(nb.cells, start=1):
        if cell.cell_type == "code":
            is_exercise = "exercise" in cell.metadata.get("tags", [])
            found = _code_problems(cell.source, is_exercise)
            problems += [f"cell {number}: {p}" for p in found]
    num_code, num_prose = len(code_cells(nb)), sum(c.cell_type == "markdown" for c in nb.cells)
    if num_prose <= num_code:
        problems.append(f"more prose cells than code cells, please: {num_prose} to {num_code}")
    return problems


def _code_problems(source, is_exercise=False):
    """``is_exercise``: the reader writes a function there."""
    lines = source.splitlines()
    if not source.strip():
        return ["is empty"]
    problems = []
    if len(lines) > MAX_CELL_LINES:
        problems.append(f"{len(lines)} lines; at most {MAX_CELL_LINES}")
    shell = [line for line in lines if line.lstrip().startswith(("!", "%"))]
    if shell:
        return [*problems, f"shell or magic line {shell[0].strip()!r}; installing is make's work"]
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [*problems, f"is not Python: {error.msg} in line {error.lineno}"]
    words = {FORBIDDEN_NODES[type(n)] for n in ast.walk(tree) if type(n) in FORBIDDEN_NODES}
    words -= {"def"} if is_exercise else set()
    problems += [f"holds '{word}'; that belongs in tempo_lib" for word in sorted(words)]
    return problems + [f"names the absolute path {text!r}" for text in _absolute_paths(tree)]


def _absolute_paths(tree):
    """String literals that begin like an absolute path; the tail of an f-string does not count."""
    tails = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values[1:]
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in tails
        if _ABSOLUTE.match(node.value)
    ]


def _parameter_problems(nb):
    cells = parameter_cells(nb)
    if len(cells) != 1:
        return [f"exactly one code cell must be tagged 'parameters', found {len(cells)}"]
    declared, problems = read_parameters(cells[0].source)
    if not declared and not problems:
        problems.append("the parameters cell declares nothing; 'preset' at least belongs there")
    if any("injected-parameters" in c.metadata.get("tags", []) for c in nb.cells):
        problems.append("holds injected parameters: commit it executed with its defaults")
    return problems


def _section_problems(nb):
    """The title and the eight sections, in order; parameters and asserts in their own."""
    first = nb.cells[0] if nb.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        return ["the first cell must be the title: '# ' and the claim in one sentence"]
    sections = []
    for cell in nb.cells[1:]:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^## +(.+)$", cell.source, flags=re.MULTILINE)
            sections += [(heading.strip(), []) for heading in headings]
        elif sections:
            sections[-1][1].append(cell)
    titles = [title for title, _ in sections]
    in_order = len(titles) == len(SECTIONS) and all(
        title.lower().startswith(wanted.lower())
        for title, wanted in zip(titles, SECTIONS, strict=True)
    )
    if not in_order:
        return [
            f"'## ' sections must be {', '.join(SECTIONS)}; found {', '.join(titles) or 'none'}"
        ]
    code = dict(zip(SECTIONS, ([c.source for c in cells] for _, cells in sections), strict=True))
    problems = []
    if code["Parameters"] != [cell.source for cell in parameter_cells(nb)]:
        problems.append("section Parameters must hold the tagged cell and no other code")
    if code["What we expect"]:
        problems.append("section 'What we expect' is prose, written before any result")
    if not any("assert" in source for source in code["Check"]):
        problems.append("section Check asserts nothing; asserts are the notebook's test")
    return problems


def _output_problems(nb):
    """Outputs that are absent, failed, older than the code, or tell of one machine."""
    remedy = "run `make notebooks`"
    problems = []
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"was not executed once from top to bottom: {remedy}")
    elif not any(cell.outputs for cell in code_cells(nb)):
        problems.append(f"holds no output: {remedy}")
    if nb.metadata.get("tempo", {}).get("code_sha256") != code_sha256(nb):
        problems.append(f"outputs are older than the code: {remedy}")
    places = {f"{place}/" for place in (project_root(), Path.home(), Path(sys.prefix))} - {"//"}
    for number, cell in enumerate(nb.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                problems.append(f"cell {number}: holds the error {output.ename}: {output.evalue}")
            elif any(place in json.dumps(output) for place in places):
                problems.append(f"cell {number}: its output names a folder of this machine")
    return problems


def _facts_problems(nb):
    """What the batch run reads from the metadata: results, and files that exist."""
    try:
        facts = NotebookFacts.model_validate(nb.metadata.get("tempo", {}))
    except ValueError as error:
        return [f"metadata.tempo: {error}"]
    problems = []
    if not (facts.results or facts.tables):
        problems.append("metadata.tempo names no result that the notebook makes")
    for pattern in facts.inputs:
        if not list(manifest_path(".").glob(pattern)):
            problems.append(f"metadata.tempo: no file data_manifests/{pattern}")
    return problems
