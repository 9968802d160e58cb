"""``tempo reproduce``: train (or keep what is trained), ask three clips, run the notebooks.

The notebooks publish to ``figures/<preset>/``; the gallery there is written from the provenance
files beside the pictures. The plan is data, so that it can be printed before anything runs.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tempo_lib.presets import Preset, load_preset
from tempo_lib.runs import PAPER_PRESET, project_root
from tempo_lib.world.corpus_specs import SUITE_SECONDS

CLIP_FRAMES = 60  # 30 s
CLIP_SEEDS = (101, 102, 103)
# The batch run takes whole suites, and all of them where a notebook takes several: what 0 and "all"
# mean is part of these parameters' comments.
BATCH_PARAMETERS: dict[str, Any] = {
    "num_questions": 0,
    "suites": list(SUITE_SECONDS),
    "variants": ["all"],
}
# Whole suites take these notebooks most of an hour. A round of all notebooks runs them on a sample
# and does not publish it; by name (`--only`) or from scratch they run whole.
LONG_NOTEBOOKS = ("04_the_miniature", "20_claims")
SAMPLE_PARAMETERS: dict[str, Any] = {"num_questions": 30, "suites": ["mini-lvbench"]}


@dataclass(frozen=True)
class Step:
    """One line of the plan and what it does."""

    title: str
    act: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch run: which scale, which notebook (None: all), and whether to train."""

    preset: Preset
    root: Path
    only: str | None = None
    from_scratch: bool = False

    @property
    def folder(self) -> Path:
        return self.root / "runs" / self.preset.name / "reproduce"


def make_batch(preset: str, only: str | None, from_scratch: bool) -> Batch:
    """Check the options; ValueError names an unknown preset or notebook and lists the known."""
    numbers = load_preset(preset)
    if numbers.name == PAPER_PRESET:
        raise ValueError(
            f"preset {preset} needs the real benchmarks, whose readers are not part of this "
            "version; reproduce with --preset tiny"
        )
    batch = Batch(preset=numbers, root=project_root(), only=only, from_scratch=from_scratch)
    find_notebooks(batch)
    return batch


def find_notebooks(batch: Batch) -> list[Path]:
    """The notebooks to run: all, or the one whose name, or the number it starts with, is asked."""
    known = sorted((batch.root / "notebooks").glob("*.ipynb"))
    if not known:
        raise ValueError(
            f"no notebooks in {batch.root / 'notebooks'}; set TEMPO_HOME to a checkout"
        )
    if batch.only is None:
        return known
    wanted = batch.only.removesuffix(".ipynb")
    found = [path for path in known if wanted in _names(path)]
    if len(found) != 1:
        names = ", ".join(path.stem for path in known)
        how_many = "several notebooks are" if found else "no notebook is"
        raise ValueError(f"{how_many} called {batch.only!r}; known: {names}")
    return found


def plan(batch: Batch) -> list[Step]:
    """The steps in order. One notebook alone leaves the three clips out."""
    steps = [Step(_train_title(batch), lambda: train(batch))]
    if batch.only is None:
        title = f"ask {len(CLIP_SEEDS)} clips that the world writes -> {_shown(batch, 'asks.json')}"
        steps.append(Step(title, lambda: ask_clips(batch)))
    for path in find_notebooks(batch):
        title = f"run notebooks/{path.name} -> figures/{batch.preset.name}/"
        if is_sampled(batch, path):
            title = (
                f"run notebooks/{path.name} on a sample, unpublished (whole: --only {path.stem})"
            )
        steps.append(Step(title, lambda path=path: run_one(batch, path)))  # type: ignore[misc]
    gallery = batch.root / "figures" / "README.md"
    steps.append(Step("write the gallery figures/README.md", lambda: write_gallery(gallery)))
    return steps


def reproduce(batch: Batch, dry_run: bool) -> None:
    """Print the plan, then do it; an exception of a step ends the run."""
    steps = plan(batch)
    for number, step in enumerate(steps, 1):
        print(f"{number}. {step.title}", flush=True)
    if dry_run:
        return
    for number, step in enumerate(steps, 1):
        print(f"\n[{number}/{len(steps)}] {step.title}", file=sys.stderr, flush=True)
        step.act()
    print(f"done: {batch.root / 'figures' / batch.preset.name}")


def train(batch: Batch) -> None:
    """Make the miniature, or check that there is one; finished parts are kept."""
    from tempo_lib.checkpoints import find_checkpoint

    if not batch.from_scratch:
        print(f"using {find_checkpoint(batch.preset)}", file=sys.stderr)
        return
    from tempo_lib.training.miniature import Miniature, train_miniature

    train_miniature(Miniature(batch.preset, batch.root / "runs" / batch.preset.name / "train", 0))


def ask_clips(batch: Batch) -> list[dict[str, Any]]:
    """Write three clips, ask three questions of each; ``asks.json`` says what was right."""
    from tempo_lib.checkpoints import find_checkpoint
    from tempo_lib.model import Tempo
    from tempo_lib.video import load_video
    from tempo_lib.world.clips import write_clip
    from tempo_lib.world.questions import is_correct, sample_questions
    from tempo_lib.world.rendering import render
    from tempo_lib.world.scenes import make_story

    model = Tempo.from_pretrained(find_checkpoint(batch.preset))
    folder = batch.folder / "clips"
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
    num_right = sum(record["correct"] for record in records)
    print(f"{num_right} of {len(records)} answers right", file=sys.stderr)
    text = json.dumps(records, indent=1) + "\n"
    (batch.folder / "asks.json").write_text(text, encoding="utf-8")
    return records


def run_one(batch: Batch, path: Path) -> None:
    """Run a notebook over whole suites and let it publish its figure, or over a sample."""
    from tempo_lib.notebooks import check_parameters, run_notebook

    sampled = is_sampled(batch, path)
    wanted = {"preset": batch.preset.name, **BATCH_PARAMETERS}
    wanted |= SAMPLE_PARAMETERS if sampled else {}
    declared = check_parameters(path, {})
    parameters = {name: value for name, value in wanted.items() if name in declared}
    run_notebook(path, parameters, batch.folder / "notebooks", publish=not sampled)


def is_sampled(batch: Batch, path: Path) -> bool:
    """Whether a notebook runs on a sample in this batch."""
    return path.stem in LONG_NOTEBOOKS and batch.only is None and not batch.from_scratch


def write_gallery(path: Path) -> None:
    """Write a page with every published picture, its description and where it comes from."""
    lines = ["# Figures", "", "Written by `tempo reproduce` from the provenance file beside each"]
    lines += ["picture: its parameters, the code it came from, and when it was made.", ""]
    for provenance in sorted(path.parent.glob("*/*.json")):
        facts = json.loads(provenance.read_text(encoding="utf-8"))
        lines += _gallery_entry(provenance, facts, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _gallery_entry(provenance: Path, facts: dict[str, Any], folder: Path) -> list[str]:
    base = provenance.relative_to(folder).with_suffix("").as_posix()
    state = {True: "with uncommitted changes", False: "clean", None: "state unknown"}[
        facts["dirty"]
    ]
    parameters = ", ".join(f"{name}={value}" for name, value in facts["parameters"].items())
    lines = [f"## {facts['name']} (preset {facts['preset']})", ""]
    if f"{facts['name']}.png" in facts["files"]:
        alt = " ".join(str(facts.get("alt_text") or facts["name"]).replace("]", "").split())
        lines += [f"![{alt}]({base}.png)", ""]
    files = [
        f"[{Path(name).suffix[1:]}]({Path(base).parent.as_posix()}/{name})"
        for name in sorted(facts["files"])
    ]
    lines += [
        f"- files: {', '.join([*files, f'[provenance]({base}.json)'])}",
        f"- parameters: {parameters or 'none'}",
        f"- code: commit {facts['commit']}, {state}",
        f"- made: {facts['finished']} in {facts['duration_seconds']} s on {facts['device']}",
        "",
    ]
    return lines


def _names(path: Path) -> set[str]:
    """What a notebook may be called: 10_table2c_head, table2c_head, table2c, 10."""
    number, _, rest = path.stem.partition("_")
    return {path.stem, number, rest, rest.split("_")[0]}


def _train_title(batch: Batch) -> str:
    if batch.from_scratch:
        return (
            f"train the miniature from nothing in runs/{batch.preset.name}/train (kept: finished)"
        )
    return "use the trained checkpoint: your own run's, else the shipped one"


def _shown(batch: Batch, name: str) -> str:
    return (batch.folder / name).relative_to(batch.root).as_posix()
