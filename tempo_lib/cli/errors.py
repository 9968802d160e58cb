"""Bad input on the command line: one line that names it, exit code 2.

A ValueError counts as bad input only where the caller says so, at the place that checks it.
Anywhere else it is a defect of ours and keeps its traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the caller gave cannot be used; the message is one line: what, and the way out."""


@contextmanager
def bad_input(*kinds: type[Exception], prefix: str = "") -> Iterator[None]:
    """Turn ValueError, or the given kinds, raised inside into an ``InputError``."""
    expected = kinds or (ValueError,)
    try:
        yield
    except InputError:
        raise
    except expected as error:
        raise InputError(prefix + one_line(error)) from error


def one_line(error: BaseException | str) -> str:
    """The message without line breaks; the kind of error where it has none."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the extra to install when a library that is not ours is missing inside."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tempo_lib"):
            raise
        raise InputError(f"{error.name} is missing: pip install 'tempo-lib[{extra}]'") from error
