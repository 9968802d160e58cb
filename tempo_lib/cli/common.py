"""What several commands share: bad input, loading a model, options, the screen.

A ValueError counts as bad input only inside ``bad_input``, at the place that checks it. Anywhere
else it is a defect of ours and keeps its traceback.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tempo_lib.config import Preset
    from tempo_lib.model.tempo import Tempo

DEFAULT_PRESET = "tiny"  # as tempo_lib.config, which is not imported for --help
PIPE_WIDTH = 10_000  # columns of a table that goes into a file
OF_CHECKPOINT = "the checkpoint's"
OF_PRESET = "the preset's"
# Sections whose numbers a checkpoint holds too, and those of them that its weights decide.
SECTIONS_OF_CHECKPOINT = ("allocation", "generation", "model", "pixels", "video")
NOT_OF_A_LOADED_MODEL = ("num_memory_tokens", "compressor", "decoder", "")

PresetOption = Annotated[str, typer.Option(metavar="P", help="The scale: tiny (CPU) or 6b (GPU).")]
CheckpointOption = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Checkpoint folder or hub id.", show_default=OF_PRESET),
]
BaseCompressorOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Base model with the Yes/No rows, for a checkpoint that does not hold them.",
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Most memory tokens per question.", show_default=OF_CHECKPOINT
    ),
]
NumQuestionsOption = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Most questions, by whole videos; 0: the whole suite."),
]
FromScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Use nothing shipped: make base models and data too.")
]
SafeOption = Annotated[
    bool,
    typer.Option("--safe", help="Decode in a process that is ended when it hangs or eats memory."),
]
SalvageOption = Annotated[
    bool,
    typer.Option("--salvage", help="Keep what can be read of a damaged video; say the rest."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one number of the preset, as allocation.k_min=4; may be repeated.",
    ),
]


DebugNumericsOption = Annotated[
    bool,
    typer.Option(
        "--debug-numerics", help="Check every layer; name the first whose numbers are not finite."
    ),
]


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


def check_parent(option: str, path: Path) -> None:
    """InputError where the file ``path`` could not be written at the end of the work."""
    try:
        is_folder, has_parent = path.is_dir(), path.absolute().parent.is_dir()
    except (OSError, ValueError) as error:  # a name of 300 letters, a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{option} {str(path)[:60]}: no name of a file: {reason}") from error
    if is_folder:
        raise InputError(f"{option} {path} is a folder; name a file in it")
    if not has_parent:
        raise InputError(f"{option} {path}: the folder {path.parent} does not exist")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise InputError(f"{option} {path} cannot be written: read-only, or not yours")


def checked_layers(model: "Tempo", is_on: bool) -> AbstractContextManager[None]:
    """``debug_numerics`` where it ``is_on``."""
    from tempo_lib.model.numerics import debug_numerics

    return debug_numerics(model) if is_on else nullcontext()


def screen() -> "Console":
    """Standard output without guesses at colours for numbers, and without broken lines.

    A file or a pipe has no width: tables are written whole there.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)


def printable(text: str) -> str:
    """Text for a screen: control characters and lone surrogates as their escapes, not as acts."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]
        for letter in text
    )


@dataclass(frozen=True)
class Loaded:
    """A model, and the folder or hub id that it came from."""

    model: "Tempo"
    checkpoint: str

    @property
    def preset(self) -> str:
        return self.model.config.preset


def load_model(
    preset: str | None,
    checkpoint: str | None,
    base_compressor: str | None = None,
    overrides: Sequence[str] = (),
    elsewhere: tuple[str, ...] = (),
) -> Loaded:
    """The model of ``checkpoint``, else the last one of ``preset`` (default: tiny).

    ``overrides`` change its own numbers; those below ``elsewhere`` are the caller's. InputError
    for an unknown preset, a checkpoint that is missing, damaged or of another layout, for a preset
    that is not the checkpoint's, and for overrides that a model does not take.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    from tempo_lib.checkpoints.folders import find_checkpoint
    from tempo_lib.config import load_preset
    from tempo_lib.model.tempo import Tempo

    logging.disable_progress_bar()
    with bad_input():
        numbers = load_preset(preset or DEFAULT_PRESET, overrides)
        where = str(find_checkpoint(numbers) if checkpoint is None else checkpoint)
    try:
        model = Tempo.from_pretrained(where, base_compressor=base_compressor)
    except (OSError, ValueError, SafetensorError) as error:
        size = "" if checkpoint else f" (about {numbers.weights.download_gigabytes:g} GB)"
        hint = size if not Path(where).exists() and size != " (about 0 GB)" else ""
        raise InputError(f"cannot load {where}{hint}: {one_line(error)}") from error
    loaded = Loaded(model, where)
    if preset is not None and preset != loaded.preset:
        raise InputError(f"{where} is of preset {loaded.preset}, not {preset}; leave out --preset")
    with bad_input():
        adjust(model, load_preset(loaded.preset, overrides), elsewhere)
    return loaded


def adjust(model: "Tempo", preset: "Preset", elsewhere: tuple[str, ...] = ()) -> None:
    """Give ``model`` the preset's overrides, those below ``elsewhere`` left out.

    ValueError for one that a loaded model does not take, or for bounds that contradict each other.
    """
    from tempo_lib.allocation.policies import check_limits

    config = model.config
    for path in preset.overrides:
        if elsewhere and path.startswith(elsewhere):
            continue
        section, _, name = path.partition(".")
        if section not in SECTIONS_OF_CHECKPOINT or name in NOT_OF_A_LOADED_MODEL:
            raise ValueError(f"--set {path} changes nothing of a model that is trained")
        value = getattr(getattr(preset, section), name)
        if section in ("video", "pixels"):
            getattr(config, section)[name] = value
        else:
            setattr(config, name, value)
    check_limits(config.budget, config.k_min, config.k_max)
    if config.k_max > config.num_memory_tokens:
        raise ValueError(
            f"k_max {config.k_max} exceeds the {config.num_memory_tokens} tokens per segment"
        )
