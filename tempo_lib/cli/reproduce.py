"""``tempo reproduce``: errors of its options become one line, failed jobs a short report."""

from dataclasses import dataclass
from pathlib import Path

from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.cli.errors import InputError, bad_input
from tempo_lib.reproduce.batch import make_batch, reproduce


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """Options of ``tempo reproduce``; ``cores`` None: all there are; 0 questions: whole suites."""

    preset: str
    only: str | None = None
    from_scratch: bool = False
    dry_run: bool = False
    cores: int | None = None
    executor: str | None = None
    report: Path | None = None
    num_questions: int = 0
    publish: bool = False


def run(options: ReproduceOptions) -> int:
    """Return 0, 1 when a notebook or the workflow failed, 2 for bad input of a job."""
    report = options.report
    if report is not None:
        if report.suffix != ".html":
            raise InputError(f"--report {report}: the page is HTML, so call it {report.stem}.html")
        if not report.absolute().parent.is_dir():
            raise InputError(f"--report {report}: the folder {report.parent} does not exist")
    with bad_input(ValueError, CheckpointError):
        batch = make_batch(
            options.preset,
            options.only,
            options.from_scratch,
            options.cores,
            options.executor,
            options.num_questions,
            options.publish,
        )
        return reproduce(batch, options.dry_run, report)
