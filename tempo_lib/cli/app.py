"""The command ``tempo`` and its exit codes.

0 done, 2 bad input (one line on stderr that names it), 1 a defect of ours (with its traceback).
"""

import errno
import sys
from collections.abc import Sequence
from typing import cast

import typer

from tempo_lib.cli.allocation import allocation
from tempo_lib.cli.ask import ask
from tempo_lib.cli.audit import audit
from tempo_lib.cli.bench import bench
from tempo_lib.cli.common import InputError, one_line
from tempo_lib.cli.convert import convert
from tempo_lib.cli.data import data
from tempo_lib.cli.doctor import doctor
from tempo_lib.cli.evaluate import evaluate
from tempo_lib.cli.notebook import notebook
from tempo_lib.cli.page import page
from tempo_lib.cli.plan import plan
from tempo_lib.cli.reproduce import reproduce
from tempo_lib.cli.serve import serve
from tempo_lib.cli.train import train

# typer exports this one child of its usage errors; the parent is what all of them are
USAGE_ERROR = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])

# What a full, read-only or forbidden disk says: no defect of ours, whatever was being written.
NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

app = typer.Typer(
    name="tempo",
    help="Tempo, reproduced: ask long videos under a strict budget of memory tokens.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (
    ask,
    train,
    plan,
    evaluate,
    audit,
    allocation,
    reproduce,
    notebook,
    convert,
    doctor,
    bench,
):
    app.command()(command)
app.command("app")(page)
app.command()(serve)
app.add_typer(data)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``tempo`` with ``arguments`` (default: the process's) and return its exit code.

    Exceptions that leave this function are defects of ours.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=given or ["--help"], prog_name="tempo", standalone_mode=False)
    except USAGE_ERROR as error:
        print(f"error: {one_line(error.format_message())}", file=sys.stderr)
        return 2
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in NOT_OURS:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    return int(code or 0)


def main() -> None:
    """The console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
