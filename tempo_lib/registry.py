"""Things that are found by name: allocation policies, scorers, benchmarks.

One more of a kind is one new file that registers itself. Nothing here imports such a file: a
preset names the modules that belong to it (``plugins:``), and a user adds others through the
environment variable TEMPO_PLUGINS or the option ``--plugin`` of the command line.
"""

import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
PLUGINS_VARIABLE = "TEMPO_PLUGINS"  # module names or paths of .py files, separated by commas


class Registry(Generic[T]):
    """Name -> object of one kind; ``kind`` is the noun that error messages use."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._found: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: ``@POLICIES.register("ata")``. ValueError for a name that is taken."""

        def add(item: T) -> T:
            if self._found.get(name, item) is not item:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            self._found[name] = item
            return item

        return add

    def get(self, name: str) -> T:
        """ValueError, with the known names, for one that nobody registered."""
        if name not in self._found:
            known = ", ".join(self._found) or "none"
            raise ValueError(f"unknown {self.kind} {name!r}; known: {known}")
        return self._found[name]

    def source_file(self, name: str) -> Path:
        """File of the module that defines what is registered as ``name``."""
        return Path(inspect.getfile(sys.modules[self.get(name).__module__]))

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def names(self) -> list[str]:
        """In the order of registration."""
        return list(self._found)


def load_plugins(names: Iterable[str] = ()) -> None:
    """Import the modules ``names`` and those of TEMPO_PLUGINS, each once.

    A name is a module or the path of a .py file. ValueError for one that cannot be found.
    """
    given = os.environ.get(PLUGINS_VARIABLE, "").split(",")
    for name in dict.fromkeys([*names, *(part.strip() for part in given)]):
        if name:
            _load(name)


def _load(name: str) -> None:
    if not name.endswith(".py"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and name.startswith(error.name):
                raise ValueError(
                    f"no plug-in module {name!r}; install it, or give the path of its .py file"
                ) from error
            raise
        return
    path = Path(name).resolve()
    if not path.is_file():
        raise ValueError(f"no plug-in file {name}")
    module_name = f"tempo_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if module_name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{name} cannot be imported as a plug-in")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
