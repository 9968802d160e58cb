"""What each job of the workflow does: ``python -m tempo_lib.reproduce.jobs JOB --preset P``.

A job that ends well leaves a receipt. One that fails leaves the reason under
``runs/<preset>/reproduce/failures``, so that ``tempo reproduce`` can show all of them at the end.
Exit codes as everywhere: 1 a defect of ours, 2 bad input.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint
from tempo_lib.cli.common import InputError
from tempo_lib.config import load_preset
from tempo_lib.provenance import project_root
from tempo_lib.reproduce.batch_notebooks import pick_notebook
from tempo_lib.reproduce.workflow import CLIPS, GALLERY, Workflow

CLIP_FRAMES = 60  # 30 s
CLIP_SEEDS = (101, 102, 103)
MODEL_SEED = 0  # whose records all tables share; other training seeds are asked for by notebooks


def make_base(flow: Workflow, name: str) -> dict[str, Any]:
    """Pre-train one base model or the reranker; a finished one is kept."""
    from tempo_lib.miniature.pretrain import build as miniature

    folder = flow.root / "runs" / flow.preset.name / "train"
    miniature.make_base(miniature.Miniature(flow.preset, folder, MODEL_SEED), name)
    return {}


def make_corpus(flow: Workflow, stage: str) -> dict[str, Any]:
    """Write the pictures, clips and questions that a stage trains on."""
    from tempo_lib.miniature.pretrain import build as miniature

    folder = flow.root / "runs" / flow.preset.name / "train"
    mini = miniature.Miniature(flow.preset, folder, MODEL_SEED)
    miniature.make_corpus(mini, int(stage), workers=1)
    return {}


def train_stage(flow: Workflow, stage: str) -> dict[str, Any]:
    """One stage from the one before it, as ``tempo train`` does; a finished one is kept."""
    from tempo_lib.cli.train import train

    train(preset=flow.preset.name, stage=int(stage), seed=MODEL_SEED)
    return {}


def ask_clips(flow: Workflow, _: str) -> dict[str, Any]:
    """Write three clips, ask three questions of each; ``asks.json`` says what was right."""
    from tempo_lib.miniature.world.clips import write_clip
    from tempo_lib.miniature.world.questions import is_correct, sample_questions
    from tempo_lib.miniature.world.rendering import render
    from tempo_lib.miniature.world.scenes import make_story
    from tempo_lib.model.tempo import Tempo
    from tempo_lib.video.clip import load_video

    model = Tempo.from_pretrained(find_checkpoint(flow.preset))
    folder = flow.folder / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for seed in CLIP_SEEDS:
        rng = np.random.default_rng(seed)
        story = make_story(rng, CLIP_FRAMES)
        path = folder / f"clip-{seed}.mp4"
        write_clip(path, render(story, seed))
        session = model.open(load_video(path))
        for question in sample_questions(rng, story, 3):
            answer = session.ask(question.text)
            record: dict[str, Any] = {
                "clip": path.name,
                "question": question.text,
                "text": answer.text,
                "expected": question.answer,
                "tokens_used": answer.tokens_used,
                "correct": is_correct(question, answer.text),
            }
            records.append(record)
    text = json.dumps(records, indent=1) + "\n"
    (flow.folder / "asks.json").write_text(text, encoding="utf-8")
    return {"asked": len(records), "right": sum(record["correct"] for record in records)}


def make_suite(flow: Workflow, name: str) -> dict[str, Any]:
    """Write the videos and questions of a suite; finished ones are kept."""
    from tempo_lib.evaluation.benchmark import load_benchmark

    suite = load_benchmark(flow.preset, name, num_questions=flow.num_questions)
    return {"questions": suite.num_questions, "videos": len(suite.videos)}


def make_records(flow: Workflow, name: str) -> dict[str, Any]:
    """Ask a suite under every variant that a table, figure or claim needs: compressed once."""
    from tempo_lib.analysis import evaluations
    from tempo_lib.analysis.scaling import point_names
    from tempo_lib.analysis.stages import stage_variants
    from tempo_lib.evaluation.benchmark import load_benchmark
    from tempo_lib.evaluation.runner import evaluate_records
    from tempo_lib.evaluation.variants import VARIANTS, get_variant, matched_name

    models = evaluations.load_models(flow.preset, [MODEL_SEED])
    chosen, left_out = evaluations.choose_variants([evaluations.ALL_VARIANTS], models)
    tables = [name for name, row in VARIANTS.items() if row.paper_row is not None]
    names = (*chosen, *tables, *map(matched_name, tables), *point_names())
    rows = {row.name: row for row in (*map(get_variant, names), *stage_variants(name).values())}
    names, _ = evaluations.split_by_parts(rows.values(), models)
    can_run = [rows[name] for name in names]
    suite = load_benchmark(flow.preset, name, num_questions=flow.num_questions)
    evaluate_records(models[MODEL_SEED], suite, can_run, progress=False)
    asked = {"questions": suite.num_questions, "variants": [row.name for row in can_run]}
    return {**asked, "left_out": left_out, "data_hash": suite.data_hash}


def run_one(flow: Workflow, name: str) -> dict[str, Any]:
    """Run a notebook as the batch does, and publish what it makes where the run does."""
    from tempo_lib.reproduce.notebooks import run_notebook

    notebook = pick_notebook(flow.root, name)
    parameters = flow.parameters(notebook)
    copies = flow.folder / "notebooks"
    copy = run_notebook(notebook.path, parameters, copies, publish=flow.shows(notebook))
    made = {"executed_copy": flow.shown(copy), "published": flow.published(notebook)}
    return {"parameters": parameters, **made}


def show_results(flow: Workflow, _: str) -> dict[str, Any]:
    """Publish the time of each job, then write the page with every picture."""
    from tempo_lib.reproduce.gallery import publish_times, write_gallery

    num_jobs = publish_times(flow)
    if flow.publishes:
        write_gallery(flow.root / "figures" / "README.md")
    return {"jobs_measured": num_jobs}


JOBS: dict[str, Callable[[Workflow, str], dict[str, Any]]] = {
    "base": make_base,
    "corpus": make_corpus,
    "suite": make_suite,
    "stage": train_stage,
    CLIPS: ask_clips,
    "records": make_records,
    "notebook": run_one,
    GALLERY: show_results,
}


def job_name(job: str, name: str) -> str:
    """How receipts and rules call a job: records-mini-mlvu, corpus-2, stage2, 20_claims, clips."""
    return {"notebook": name, "base": name, "stage": f"stage{name}"}.get(
        job, f"{job}-{name}" if name else job
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job, leave its receipt or the reason why there is none."""
    parser = argparse.ArgumentParser(prog="python -m tempo_lib.reproduce.jobs")
    parser.add_argument("job", choices=tuple(JOBS))
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--name", default="", help="which suite, stage, notebook..")
    parser.add_argument("--num-questions", type=int, default=0, help="of each suite; 0: all")
    parser.add_argument("--only", help="the one notebook that the run was asked for")
    parser.add_argument("--publish", action="store_true", help="also a part of the questions")
    chosen = parser.parse_args(arguments)
    flow = Workflow(
        preset=load_preset(chosen.preset),
        root=project_root(),
        only=chosen.only,
        num_questions=chosen.num_questions,
        publish=chosen.publish,
    )
    name = job_name(chosen.job, chosen.name)
    failure = flow.failure(name)
    failure.unlink(missing_ok=True)
    print(f"{name}: started", file=sys.stderr, flush=True)
    try:
        facts = JOBS[chosen.job](flow, chosen.name)
    except Exception as error:
        code, reason = explain(error)
        _write(failure, {"job": name, "code": code, "reason": reason})
        print(f"{name}: failed\n{reason}", file=sys.stderr, flush=True)
        return code
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    _write(flow.root / flow.receipt(name), {"job": name, "finished": finished, **facts})
    print(f"{name}: done", file=sys.stderr, flush=True)
    return 0


def explain(error: Exception) -> tuple[int, str]:
    """Exit code and reason: bad input in a line, a notebook's cell, else the traceback."""
    from tempo_lib.reproduce.notebooks import NotebookError

    if isinstance(error, InputError | CheckpointError):
        return 2, f"error: {error}"
    if isinstance(error, NotebookError):
        return 1, str(error)
    return 1, "".join(traceback.format_exception(error)).rstrip()


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
