"""``tempo ask`` from its options to its output."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

from tempo_lib.cli.asking import Asked, AskOptions, ask_all, record
from tempo_lib.cli.cases import Case, CasesError, case, read_cases
from tempo_lib.cli.errors import InputError, bad_input
from tempo_lib.cli.loading import Loaded, load_model
from tempo_lib.cli.show import MINIATURE_NOTE, check_plot, drawer, print_asked, screen


def run(
    video: str | None,
    questions: list[str],
    cases_file: Path | None,
    options: AskOptions,
    *,
    preset: str | None,
    checkpoint: str | None,
    base_compressor: str | None,
    as_json: bool,
    plot: Path | None,
) -> int:
    """Answer, print, and return the exit code: 2 when a case of a file had no answer.

    InputError when the only video asked about cannot be read, before anything is printed.
    """
    wanted = gather(video, questions, cases_file)
    if plot is not None:
        check_plot(plot, any(one.path is not None for one in wanted))
    with redirect_stdout(sys.stderr):  # libraries may print; only results go to standard output
        loaded = load_model(preset, checkpoint, base_compressor)
        config = loaded.model.config
        k_min = config.k_min if options.k_min is None else options.k_min
        draw = None
        if plot is not None:
            draw = drawer(plot, len(wanted), k_min, config.k_max, loaded.preset)
        results = ask_all(loaded.model, wanted, options, draw)
    errors = list(dict.fromkeys(asked.error for asked in results if asked.error is not None))
    if cases_file is None and len(errors) == 1 and all(asked.answer is None for asked in results):
        raise InputError(errors[0])
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    print_results(results, loaded, options, as_json, as_list=cases_file is not None)
    return 2 if errors else 0


def gather(video: str | None, questions: list[str], cases_file: Path | None) -> list[Case]:
    """The cases that the arguments mean; InputError when they do not go together."""
    if cases_file is not None:
        if video is not None:
            raise InputError("give either a VIDEO and its questions or --cases FILE, not both")
        with bad_input(CasesError):
            return read_cases(cases_file)
    if not video:
        raise InputError("give a VIDEO and a QUESTION, or --cases FILE; see tempo ask --help")
    if not questions:
        raise InputError(f"no question about {video}; see tempo ask --help")
    return [case(video, question) for question in questions]


def print_results(
    results: list[Asked], loaded: Loaded, options: AskOptions, as_json: bool, as_list: bool
) -> None:
    """One JSON document (a list of several questions or of a file), or text for people."""
    if as_json:
        records = [record(asked, loaded, options) for asked in results]
        print(json.dumps(records if as_list or len(records) > 1 else records[0], indent=1))
        return
    console = screen()
    for asked in results:
        print_asked(console, asked)
    if loaded.preset == "tiny":
        console.print(MINIATURE_NOTE, style="dim")
