"""``tempo reproduce``: print a plan with expected times, let Snakemake do it, say what failed.

The plan is data, so that it can be printed before anything runs. Which jobs are up to date,
in which order and where the others run is Snakemake's business (``Snakefile``).
"""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import Preset, load_preset
from tempo_lib.miniature.manifests import load_manifest
from tempo_lib.provenance import PAPER_PRESET, project_root
from tempo_lib.reproduce.batch_notebooks import pick_notebook, suites_of
from tempo_lib.reproduce.gallery import STARTED, expected_seconds
from tempo_lib.reproduce.jobs import CLIP_SEEDS
from tempo_lib.reproduce.workflow import BASES, CLIPS, GALLERY, RERANKER, THREADS, Workflow

CHECKSUM_BYTES = 100_000_000  # files up to this size count as changed by content, not by date
OWN_EXECUTORS = ("local",)


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
) -> Batch:
    """Check the options; ValueError names what is unknown or absent, with the way out."""
    numbers, root = load_preset(preset), project_root()
    if numbers.name == PAPER_PRESET:
        absent = missing_data(numbers, root)
        raise ValueError(
            f"preset {preset} cannot run here; missing: {'; '.join(absent)}; and the readers of "
            "the real benchmarks, which are not part of this version: take --preset tiny"
        )
    if cores is not None and cores < 1:
        raise ValueError(f"--cores must be 1 or more, got {cores}")
    if num_questions < 0:
        raise ValueError(f"--num-questions must be 0 (all) or more, got {num_questions}")
    if executor is not None:
        check_executor(executor)
    if importlib.util.find_spec("snakemake") is None:
        raise ValueError("snakemake is missing: pip install 'tempo-lib[reproduce]'")
    name = None if only is None else pick_notebook(root, only).name
    flow = Workflow(
        preset=numbers,
        root=root,
        only=name,
        from_scratch=from_scratch,
        num_questions=num_questions,
        publish=publish,
    )
    _ = flow.notebooks, snakefile(root)
    if not from_scratch:
        find_checkpoint(numbers)
    return Batch(flow=flow, cores=cores or os.cpu_count() or 1, executor=executor)


def missing_data(preset: Preset, root: Path) -> list[str]:
    """Each weight and benchmark of the paper's scale that is absent: name, size, where it goes."""
    from huggingface_hub import try_to_load_from_cache

    weights = preset.weights
    size = f"about {weights.download_gigabytes:g} GB together with its base compressor"
    parts = {"checkpoint": weights.checkpoint, "base compressor": weights.base_compressor}
    absent = [
        f"{what} {name} ({size if what == 'checkpoint' else 'part of that'}; into the hub's "
        f"cache: hf download {name})"
        for what, name in parts.items()
        if name is not None and not isinstance(try_to_load_from_cache(name, "config.json"), str)
    ]
    for suite in Workflow(preset=preset, root=root).suites:
        benchmark = load_manifest(suite).benchmark
        folder = root / "data" / benchmark.lower()
        if not folder.is_dir():
            absent.append(f"benchmark {benchmark} (into {folder.relative_to(root)})")
    return absent


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
    """The jobs that belong to a run, in the order in which one needs another."""
    flow, titles = batch.flow, dict[str, str]()
    if flow.from_scratch:
        work = f"runs/{flow.preset.name}/train"
        for base in (*BASES, RERANKER):
            titles[base] = f"pre-train {base} in {work}, unless it is finished"
        for stage in flow.preset.stages:
            titles[f"corpus-{stage}"] = f"write the pictures and clips of stage {stage}"
            titles[f"stage{stage}"] = f"train stage {stage} in {work}, unless it is finished"
    if flow.only is None:
        titles[CLIPS] = f"ask {len(CLIP_SEEDS)} clips that the world writes -> asks.json"
    asking = [book for book in flow.notebooks if flow.only is None or "variants" in book.parameters]
    for suite in flow.suites:
        if any(suite in suites_of(book) for book in asking):
            titles[f"suite-{suite}"] = f"write the videos and questions of {suite}"
            titles[f"records-{suite}"] = f"ask {suite} under every variant that a result needs"
    for book in flow.notebooks:
        made = ", ".join(book.results)
        titles[book.name] = f"run notebooks/{book.path.name} -> {made}"
    titles[GALLERY] = "write times and the gallery figures/README.md"
    known = expected_seconds(flow)
    return [Step(job, title, known.get(job), THREADS.get(job, 1)) for job, title in titles.items()]


def plan_text(steps: list[Step], cores: int = 1) -> str:
    """The plan for people; a job that is up to date is skipped, which only Snakemake can tell.

    ``cores``: jobs at a time, as though none had to wait for another.
    """
    lines = [
        f"{number}. {step.title} ({_time(step.seconds)})" for number, step in enumerate(steps, 1)
    ]
    total = sum((step.seconds or 0) * step.threads for step in steps)
    unknown = sum(step.seconds is None for step in steps)
    lines.append(f"{len(steps)} jobs; if all of them run, {_time(total)} of one core")
    if cores > 1:
        lines[-1] += f", at best {_time(total / cores)} on {cores}"
    if unknown:
        lines[-1] += f", and {unknown} not measured yet"
    return "\n".join(lines)


def reproduce(batch: Batch, dry_run: bool) -> int:
    """Print the plan, then do what is not up to date; exit code 1 or 2 where a job failed."""
    flow = batch.flow
    print(plan_text(plan(batch), batch.cores), flush=True)
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
        for old in flow.folder.glob("failures/*.json"):
            old.unlink()
        command = snakemake_command(batch, dry_run)
        known = {**os.environ, STARTED: str(time.time())}
        run = subprocess.run(command, cwd=flow.root, pass_fds=[lock.fileno()], env=known)
        code = run.returncode
    if code == 0:
        if not dry_run:
            figures = flow.root / "figures" / flow.preset.name
            print(f"done: {figures if flow.publishes else flow.folder}")
        return 0
    return report_failures(flow)


def snakemake_command(batch: Batch, dry_run: bool) -> list[str]:
    """Snakemake as a program of its own: so its plugins find what they expect."""
    flow = batch.flow
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile(flow.root))]
    command += ["--directory", str(flow.root), "--keep-going", "--rerun-incomplete", "--nolock"]
    # "input" is left out: a run of one notebook asks for fewer inputs, which is no change of them.
    command += ["--rerun-triggers", "mtime", "params", "code", "--scheduler", "greedy"]
    command += ["--max-checksum-file-size", str(CHECKSUM_BYTES), "--quiet", "rules", "host"]
    if batch.executor is None:
        command += ["--cores", str(batch.cores)]
    else:
        command += ["--executor", batch.executor, "--jobs", str(batch.cores)]
    command += ["--dry-run"] if dry_run else []
    command += ["--config", f"preset={flow.preset.name}", f"from_scratch={flow.from_scratch}"]
    command += [f"num_questions={flow.num_questions}", *(["publish=1"] if flow.publish else [])]
    return command + ([] if flow.only is None else [f"only={flow.only}"])


def report_failures(flow: Workflow) -> int:
    """Print why each failed job failed; 1 where one of them is a defect, 2 for bad input."""
    found = [json.loads(path.read_text()) for path in sorted(flow.folder.glob("failures/*.json"))]
    for failure in found:
        print(f"\n{failure['job']} failed:\n{failure['reason']}", file=sys.stderr)
    if not found:
        print("the workflow stopped; Snakemake says why above", file=sys.stderr)
        return 1
    return min(failure["code"] for failure in found)


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
