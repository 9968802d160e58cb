"""Whether a notebook can run with some values: judged from its file alone, before a kernel starts.

Types are ``notebook_facts``'; here is what a value means: a preset that is known and that this
notebook can use, suites of that preset, numbers that are not negative, lists that hold something.
"""

from collections.abc import Mapping
from typing import Any

from tempo_lib.config import Preset, load_preset
from tempo_lib.provenance import manifest_path
from tempo_lib.reproduce.notebook_facts import Notebook, check_value

COUNTS = ("num_questions", "num_stories", "world_seed", "seed")  # 0 or more
SUITES = ("suite", "suites", "panels")
FILLED = ("suites", "model_seeds", "ks", "budgets", "variants", "panels")  # unless by default []


def check_values(book: Notebook, given: Mapping[str, Any]) -> None:
    """ValueError, in one line, for an unknown name, a wrong type or a value that cannot work."""
    for name, value in given.items():
        if name not in book.parameters:
            known = ", ".join(book.parameters) or "none"
            raise ValueError(f"{book.path.name} has no parameter {name!r}; it knows {known}")
        kind, default = book.parameters[name]
        label = f"{book.path.name}: {name}"
        check_value(label, kind, value)
        if name in COUNTS and value < 0:
            raise ValueError(f"{label} must be 0 or more, got {value}")
        if kind == "list":
            _check_list(label, name, value, default)
    values = {name: default for name, (_, default) in book.parameters.items()} | dict(given)
    if "preset" in values:
        _check_preset(book, load_preset(values["preset"]), values)


def known_suites(preset: Preset) -> list[str]:
    """Suites of a preset by their manifests; reading them imports no model."""
    folder = "benchmarks" if preset.miniature is None else "suites"
    return sorted(path.stem for path in manifest_path(folder).glob("*.yaml"))


def _check_list(label: str, name: str, value: list[Any], default: list[Any]) -> None:
    if not value and default and name in FILLED:
        raise ValueError(f"{label} is empty; name at least one, such as {default[0]!r}")
    kinds = {type(item) for item in default}
    allowed = kinds | ({int} if float in kinds else set())
    wrong = [item for item in value if kinds and type(item) not in allowed]
    if wrong:
        raise ValueError(f"{label} holds {wrong[0]!r}; its default is {default!r}")
    if name == "budgets" and any(not isinstance(one, str) and one <= 0 for one in value):
        raise ValueError(f"{label} must hold more than 0, got {value!r}")
    if name in ("model_seeds", "ks") and any(item < int(name == "ks") for item in value):
        raise ValueError(f"{label} must hold {int(name == 'ks')} or more, got {value!r}")


def _check_preset(book: Notebook, preset: Preset, values: Mapping[str, Any]) -> None:
    named = [values[name] for name in SUITES if name in values]
    suites = [each for one in named for each in (one if isinstance(one, list) else [one])]
    if suites and preset.miniature is None and not book.facts.real:
        raise ValueError(
            f"{book.name} needs questions of the miniature's world, which preset {preset.name} "
            "has not: use preset tiny"
        )
    known = known_suites(preset)
    for suite in suites:
        if suite not in known:
            raise ValueError(
                f"{book.path.name}: unknown suite {suite!r} of preset {preset.name}; known: "
                f"{', '.join(known)}"
            )
