"""The house holds: floors, no import circles, a thin root, and a miniature that nobody leans on."""

import ast
from pathlib import Path

import pytest

import tempo_lib

PACKAGE = Path(tempo_lib.__file__).parent
FLOORS = (
    {"config", "fingerprint", "gates", "prompts", "provenance", "registry", "allocation", "video"},
    {"checkpoints", "model", "training", "evaluation", "statistics", "miniature"},
    {"analysis", "figures", "app", "bench", "parity", "reproduce", "cli"},
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MAY_USE_MINIATURE = {"miniature", "cli"}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(name):
    """Modules of this package that a module names in any import statement, also a late one."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in FILES else node.module)
    return {target for target in found if target in FILES and target != "tempo_lib"}


IMPORTS = {name: imports_of(name) for name in FILES if name != "tempo_lib"}


def room(name):
    return name.split(".")[1]


def find_circle(graph):
    """One circle of a graph as a list of nodes; [] where there is none."""
    state = {}

    def visit(node, path):
        state[node] = "open"
        for target in sorted(graph.get(node, ())):
            if state.get(target) == "open":
                return [*path[path.index(target) :], target] if target in path else [node, target]
            if target not in state:
                circle = visit(target, [*path, target])
                if circle:
                    return circle
        state[node] = "done"
        return []

    for start in sorted(graph):
        if start not in state:
            circle = visit(start, [start])
            if circle:
                return circle
    return []


def test_a_planted_circle_is_found():
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_room_stands_on_a_floor():
    assert {room(name) for name in IMPORTS} == set(FLOOR)


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_a_file_imports_from_its_own_floor_or_below(name):
    above = {t for t in IMPORTS[name] if FLOOR[room(t)] > FLOOR[room(name)]}
    assert not above, f"{name} imports upwards: {sorted(above)}"


def test_no_import_circle_between_files():
    assert find_circle(IMPORTS) == []


def test_no_import_circle_between_rooms():
    rooms = {}
    for name, targets in IMPORTS.items():
        rooms.setdefault(room(name), set()).update(
            {room(target) for target in targets} - {room(name)}
        )
    assert find_circle(rooms) == []


def test_nothing_but_the_command_line_leans_on_the_miniature():
    users = {room(name) for name, targets in IMPORTS.items() if "miniature" in map(room, targets)}
    assert users <= MAY_USE_MINIATURE


def test_the_root_is_one_screen():
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert loose == {"fingerprint", "gates", "prompts", "provenance", "registry"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_holds_one_idea(name):
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300, f"{len(lines)} lines"


def test_no_function_is_longer_than_a_screen():
    long = []  # lines of the body, its docstring apart
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                size = (node.end_lineno - body[0].lineno + 1) if body else 0
                if size > 40:
                    long.append(f"{name}.{node.name}: {size}")
    assert not long, long
