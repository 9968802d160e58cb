"""``tempo notebook``: one notebook of the project with parameters of one's own, run strictly."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tempo_lib.cli.common import InputError, bad_input, needs_extra

if TYPE_CHECKING:
    from tempo_lib.reproduce.notebook_facts import Notebook


def notebook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, number or a result.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="One parameter; may be repeated."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            "--to",
            metavar="DIR",
            help="Where the executed copy goes.",
            show_default="runs/notebooks",
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Seconds per cell.", show_default="no limit"),
    ] = None,
) -> int:
    """Run a notebook of the project; an unknown or mistyped parameter stops it before it starts.

    The source stays as it is; results go to runs/, never to figures/. Only notebooks that lie in
    the project's own folder are run.

    Examples:

    * tempo notebook 17 -p num_questions=40 -o out/
    * tempo notebook 01 -p question="When is the red star seen?" -p budget=128
    """
    with needs_extra("notebooks"):
        from tempo_lib.provenance import project_root
        from tempo_lib.reproduce.notebook_facts import find_notebooks, pick_notebook
        from tempo_lib.reproduce.notebooks import NotebookError, run_notebook

    root = project_root()
    with bad_input():
        found = pick_notebook(find_notebooks(root), name)
    given = read_parameters(found, parameters or [])
    target = to or root / "runs" / "notebooks"
    with bad_input(ValueError):
        try:
            copy = run_notebook(found.path, given, target, timeout=timeout)
        except NotebookError as error:
            typer.echo(str(error), err=True)
            return 1
    print(f"{found.name}: {copy}")
    return 0


def read_parameters(book: "Notebook", given: list[str]) -> dict[str, Any]:
    """The values of ``NAME=VALUE`` texts, each of its declared type; a text is taken as it stands.

    InputError for an unknown name, a value of another type, or a name that is given twice.
    """
    import yaml

    from tempo_lib.reproduce.notebook_facts import check_value

    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"-p {text!r}: expected NAME=VALUE, as num_questions=12")
        if name not in book.parameters:
            known = ", ".join(book.parameters) or "none"
            raise InputError(f"{book.name} has no parameter {name!r}; it knows {known}")
        if name in values:
            raise InputError(f"-p {name} is given twice")
        kind = book.parameters[name][0]
        with bad_input(ValueError, yaml.YAMLError, prefix=f"-p {text!r}: "):
            values[name] = value if kind == "str" else yaml.safe_load(value)
            check_value(f"{book.name}: {name}", kind, values[name])
    return values
