"""``tempo reproduce``: print what is to be done with expected times, let Snakemake do it.

Which jobs are out of date, in which order and where they run is Snakemake's business
(``Snakefile``); this checks the options first, and shows at the end why jobs failed.
"""

import fcntl
import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import benchmark_names
from tempo_lib.provenance import is_rehearsal, project_root, published_folder
from tempo_lib.reproduce.gallery import publish_times, write_gallery
from tempo_lib.reproduce.notebook_facts import find_notebooks, pick_notebook
from tempo_lib.reproduce.published import altered
from tempo_lib.reproduce.workflow import Workflow
from tempo_lib.training.plan import Machine

CHECKSUM_BYTES = 100_000_000  # files up to this size count as changed by content, not by date
CLOCK_TOLERANCE = 2.0  # seconds; some file systems date to two
AHEAD = (
    "are dated after this machine's clock: jobs may be left out or done again wrongly; "
    "set the clock, then touch these files"
)
OWN_EXECUTORS = ("local",)
LOG_LINES = 40  # of a failed job's log, shown at the end
PLANNED = re.compile(r"^Job \d+: (\S+): (.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is to be done, and how: on how many cores, or jobs of an executor (None: here)."""

    flow: Workflow
    cores: int
    executor: str | None = None


@dataclass(frozen=True)
class Step:
    """One job of the plan; ``seconds`` None: not measured yet. ``threads``: cores that it takes."""

    job: str
    title: str
    seconds: float | None
    threads: int = 1


def make_batch(
    preset: str,
    only: str | None,
    from_scratch: bool,
    cores: int | None,
    executor: str | None,
    num_questions: int = 0,
    publish: bool = False,
    parts: int = 1,
) -> Batch:
    """Check the options; ValueError names what is unknown or absent, with the way out."""
    numbers, root = load_preset(preset), project_root()
    if cores is not None and cores < 1:
        raise ValueError(f"--cores must be 1 or more, got {cores}")
    if num_questions < 0:
        raise ValueError(f"--num-questions must be 0 (all) or more, got {num_questions}")
    if from_scratch and numbers.miniature is None:
        raise ValueError(
            f"--from-scratch makes the miniature, not preset {preset}: see tempo train"
        )
    if executor is not None:
        check_executor(executor)
    if importlib.util.find_spec("snakemake") is None:
        raise ValueError("snakemake is missing: pip install 'tempo-lib[reproduce]'")
    known = find_notebooks(root)
    flow = Workflow(
        preset=numbers,
        root=root,
        only=None if only is None else pick_notebook(known, only).name,
        from_scratch=from_scratch,
        num_questions=num_questions,
        publish=publish,
        parts=parts,
    )
    if flow.is_real:
        check_real(flow)
    snakefile(root)
    if not from_scratch:
        find_checkpoint(numbers)
    return Batch(flow=flow, cores=cores or os.cpu_count() or 1, executor=executor)


def check_real(flow: Workflow) -> None:
    """Print what the real benchmarks cost; ValueError that lists what is missing, if anything."""
    from tempo_lib.reproduce import real_plan
    from tempo_lib.reproduce.jobs import rows_of_results

    preset, machine = flow.preset, Machine(num_gpus=1)
    suite = max(benchmark_names(preset), key=len)
    rows = rows_of_results(preset.name, suite)
    costs = real_plan.suite_costs(preset, rows, machine, flow.num_questions)
    absent = real_plan.missing_data(preset, flow.root)
    where = sys.stderr if absent else sys.stdout
    print(real_plan.cost_text(costs, preset, machine), file=where, flush=True)
    if absent:
        way = (
            "`tempo data rehearsal` makes it"
            if is_rehearsal(preset.name)
            else ("rehearse without them: `tempo data rehearsal`")
        )
        raise ValueError(
            f"preset {preset.name} cannot run here; missing: {'; '.join(absent)}; {way}"
        )


def check_executor(name: str) -> None:
    """ValueError for an executor that Snakemake could not load."""
    if name in OWN_EXECUTORS:
        return
    package = f"snakemake-executor-plugin-{name}"
    try:
        distribution(package)
    except PackageNotFoundError as error:
        known = ", ".join(OWN_EXECUTORS)
        raise ValueError(
            f"no executor {name!r} here: pip install {package}; built in: {known}"
        ) from error


def plan(batch: Batch) -> list[Step]:
    """The jobs that Snakemake would run: its order, then notebooks by name, which need the others.

    RuntimeError with Snakemake's words where it cannot plan.
    """
    command = [*snakemake_command(batch), "--dry-run"]
    done = subprocess.run(command, cwd=batch.flow.root, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"snakemake cannot plan this run:\n{done.stdout}{done.stderr}")
    flow, found = batch.flow, PLANNED.findall(done.stdout + done.stderr)
    notebooks = {notebook.name for notebook in flow.notebooks}
    found.sort(key=lambda pair: pair[0] if pair[0] in notebooks else "")
    return [Step(job, title, flow.seconds.get(job), flow.threads(job)) for job, title in found]


def plan_text(steps: list[Step], cores: int = 1) -> str:
    """One line per job, then the sum. ``cores``: jobs at a time, as though none had to wait."""
    if not steps:
        return "everything is up to date"
    lines = [
        f"{number}. {step.job}: {step.title} ({_time(step.seconds)})"
        for number, step in enumerate(steps, 1)
    ]
    total = sum((step.seconds or 0) * step.threads for step in steps)
    unknown = sum(step.seconds is None for step in steps)
    lines.append(f"{len(steps)} jobs; {_time(total)} of one core")
    if cores > 1:
        lines[-1] += f", at best {_time(total / cores)} on {cores}"
    if unknown:
        lines[-1] += f", and {unknown} not measured yet"
    return "\n".join(lines)


def reproduce(batch: Batch, dry_run: bool, report: Path | None = None) -> int:
    """Print the plan, then do it; exit code 1 or 2 where a job failed.

    ``report``: Snakemake's page of all pictures, tables and times, written when all went well.
    """
    flow, started = batch.flow, time.time()
    for name, files in altered(published_folder(flow.root, flow.preset.name)).items():
        print(f"note: {', '.join(files)}: not as the provenance of {name} says", file=sys.stderr)
    if ahead := dated_ahead(flow, started):
        print(f"note: {len(ahead)} files, {ahead[0]} first, {AHEAD}", file=sys.stderr)
    steps = plan(batch)
    print(plan_text(steps, batch.cores), flush=True)
    if dry_run:
        return 0
    flow.folder.mkdir(parents=True, exist_ok=True)
    with (flow.folder / "lock").open("w") as lock:
        # The system frees this lock when its last holder ends, however it ends; the lock files that
        # Snakemake writes survive a crash and would stop the next run.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another run is at work in {flow.folder}; wait until it ends"
            ) from error
        command = [*snakemake_command(batch), "--quiet", "rules", "host"]
        code = subprocess.run(command, cwd=flow.root, pass_fds=[lock.fileno()]).returncode
    if code != 0:
        return report_failures(flow, started)
    if steps:
        publish_times(flow, {"seconds": round(time.time() - started, 1), "jobs": len(steps)})
    shown = published_folder(flow.root, flow.preset.name)
    if flow.publishes and not is_rehearsal(flow.preset.name):
        write_gallery(flow.root / "figures")
    if report is not None:
        command = [*snakemake_command(batch), "--report", str(report.absolute())]
        subprocess.run(command, cwd=flow.root, check=True, capture_output=True)
        print(f"wrote {report}")
    print(f"done: {shown if flow.publishes else flow.folder}")
    return 0


def snakemake_command(batch: Batch) -> list[str]:
    """Snakemake as a program of its own: so its plugins find what they expect."""
    flow = batch.flow
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile(flow.root))]
    command += ["--directory", str(flow.root), "--keep-going", "--rerun-incomplete", "--nolock"]
    # "input" is left out: a run of one notebook needs fewer inputs, which is no change of them.
    command += ["--rerun-triggers", "mtime", "params", "code", "--scheduler", "greedy"]
    command += ["--max-checksum-file-size", str(CHECKSUM_BYTES)]
    command += ["--config", f"preset={flow.preset.name}", f"from_scratch={flow.from_scratch}"]
    command += [f"num_questions={flow.num_questions}", *(["publish=1"] if flow.publish else [])]
    command += [f"parts={flow.parts}"] if flow.parts > 1 else []
    command += [] if flow.only is None else [f"only={flow.only}"]
    forced = altered_notebooks(flow)
    command += ["--forcerun", *forced] if forced else []
    if batch.executor is None:
        return [*command, "--cores", str(batch.cores)]
    return [*command, "--executor", batch.executor, "--jobs", str(batch.cores)]


def altered_notebooks(flow: Workflow) -> list[str]:
    """Notebooks of this run whose published results are no longer what their provenance says.

    Dates do not show that: what was edited is newer than what it comes from.
    """
    results = altered(published_folder(flow.root, flow.preset.name))
    return [book.name for book in flow.notebooks if flow.shows(book) and results.keys() & book.made]


def dated_ahead(flow: Workflow, now: float) -> list[str]:
    """Files that this run compares by date and that are dated later than now, in s since 1970.

    After a clock that went back, what changed seems older than what was made from it before.
    """
    markers = flow.root / flow.marker("any")
    names = {path.relative_to(flow.root).as_posix() for path in markers.parent.glob("*")}
    names |= {name for book in flow.notebooks for name in flow.notebook_inputs(book)}
    paths = {name: flow.root / name for name in sorted(names)}
    return [
        name
        for name, path in paths.items()
        if path.is_file() and path.stat().st_mtime > now + CLOCK_TOLERANCE
    ]


def failed_logs(flow: Workflow, started: float) -> list[Path]:
    """Logs that jobs wrote since ``started`` and that no measurement of a finished job follows."""
    failed = []
    for log in sorted((flow.folder / "logs").glob("*.log")):
        written = log.stat().st_mtime
        measured = flow.root / flow.benchmark(log.stem)
        ended = measured.stat().st_mtime if measured.is_file() else 0.0
        if written >= started and ended < written:
            failed.append(log)
    return failed


def report_failures(flow: Workflow, started: float) -> int:
    """Print why each failed job failed; 1 where one of them is a defect, 2 for bad input."""
    codes = []
    for log in failed_logs(flow, started):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
        print(f"\n{log.stem} failed:\n" + "\n".join(lines), file=sys.stderr)
        codes.append(2 if lines and lines[-1].startswith("error: ") else 1)
    if not codes:
        print("the workflow stopped; Snakemake's message is above", file=sys.stderr)
    return min(codes, default=1)


def snakefile(root: Path) -> Path:
    """The project's Snakefile, else that of the checkout this package lies in."""
    for folder in (root, Path(__file__).resolve().parents[2]):
        if (folder / "Snakefile").is_file():
            return folder / "Snakefile"
    raise ValueError(f"no Snakefile in {root}; set TEMPO_HOME to a checkout")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "not measured yet"
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
