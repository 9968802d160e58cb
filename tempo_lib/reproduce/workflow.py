"""What the Snakefile is made of: the files that each job reads and leaves.

Nothing here runs a job. What a job reads decides whether it runs again: its notebook, the library
code behind it, checkpoints, manifests. A job that leaves no file of its own leaves a done marker.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tempo_lib.checkpoints.folders import (
    PART_FILES,
    CheckpointError,
    find_checkpoint,
    part_names,
    stage_names,
)
from tempo_lib.config import DEFAULT_PRESET, Preset, load_preset
from tempo_lib.evaluation.benchmark import benchmark_names
from tempo_lib.fingerprint import PACKAGE, code_files
from tempo_lib.provenance import (
    PAPER_PRESET,
    REHEARSAL,
    manifest_path,
    project_root,
    published_folder,
)
from tempo_lib.reproduce.notebook_facts import Notebook, find_notebooks

JOBS, PREDICTIONS = "tempo_lib.reproduce.jobs", "predictions"
MANIFESTS = ("paper/*", "suites/*", "training/*")  # what every notebook depends on
TIMES_MANIFEST = "measurements/reproduce_times.json"
MINI = "mini-"  # begins the name of a suite that stands for a real benchmark
# Parameters whose defaults are about the miniature; empty or 0: the preset's or the suite's own.
OF_THE_MINIATURE: dict[str, Any] = {"kinds": [], "budgets": [], "what_if_budget": 0}
MODEL_MEGABYTES, LONG_MINUTES = 64_000, 2_880  # of a job with the paper's model


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """The jobs of one batch run. ``only``: the name of the one notebook that runs, None for all.

    ``num_questions``: of each suite, 0 for all of them. Results of a part of the questions stay
    under ``runs`` unless ``publish`` is set: they might replace better ones in ``figures``.
    ``parts``: jobs that share the records of each suite, video by video.
    """

    preset: Preset
    root: Path
    only: str | None = None
    from_scratch: bool = False
    num_questions: int = 0
    publish: bool = False
    parts: int = 1

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Workflow":
        """Read Snakemake's ``--config preset=tiny only=20_claims from_scratch=1``."""
        only = config.get("only")
        return cls(
            preset=load_preset(str(config.get("preset", DEFAULT_PRESET))),
            root=project_root(),
            only=None if only is None else str(only),
            from_scratch=bool(config.get("from_scratch", False)),
            num_questions=int(config.get("num_questions", 0)),
            publish=bool(config.get("publish", False)),
            parts=int(config.get("parts", 1)),
        )

    @property
    def publishes(self) -> bool:
        """Whether results go to ``figures``."""
        return self.publish or not self.num_questions

    @property
    def folder(self) -> Path:
        part = f"-{self.num_questions}" if self.num_questions else ""
        return self.root / "runs" / self.preset.name / f"reproduce{part}"

    @property
    def is_real(self) -> bool:
        """Whether the suites are the real benchmarks, or stand-ins for them."""
        return self.preset.miniature is None

    @cached_property
    def notebooks(self) -> list[Notebook]:
        """The notebooks that run: of the real benchmarks, those that say so."""
        known = [b for b in find_notebooks(self.root) if b.facts.real or not self.is_real]
        return [book for book in known if self.only in (None, book.name)]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Job -> expected seconds: as measured here, else as the manifest of this preset has it."""
        known: dict[str, float] = {}
        manifest = manifest_path(TIMES_MANIFEST)
        if manifest.is_file():
            content = json.loads(manifest.read_text(encoding="utf-8"))
            known |= content["seconds"] if content["preset"] == self.preset.name else {}
        for path in self.folder.glob("benchmarks/*.tsv"):
            known[path.stem] = float(path.read_text().splitlines()[-1].split("\t")[0])
        return known

    @cached_property
    def suites(self) -> list[str]:
        """Suites that notebooks of this run read, those that take longest first.

        A notebook that runs alone evaluates its few variants itself, unless it takes all of them.
        """
        reading = [b for b in self.notebooks if self.only is None or "variants" in b.parameters]
        names = {suite for book in reading for suite in self.suites_of(book)}
        return sorted(
            names, key=lambda name: -self.seconds.get(next(iter(self.records_jobs(name))), 0)
        )

    def suites_of(self, notebook: Notebook) -> list[str]:
        """Suites whose records a notebook reads in the batch run; a slow one makes its own."""
        named = notebook.facts.suites
        return benchmark_names(self.preset) if named == "all" else [*map(self.counterpart, named)]

    def counterpart(self, value: Any) -> Any:
        """The benchmark that a suite of the miniature stands for; else the value as it is."""
        if isinstance(value, list):
            return [self.counterpart(item) for item in value]
        plain = str(value).removeprefix(MINI)
        return plain if plain != value and plain in benchmark_names(self.preset) else value

    def threads(self, job: str) -> int:
        """Cores that a job takes: each stage waits for the one before it, so it may have two."""
        return 2 if job in stage_names(self.preset)[1:] else 1

    def marker(self, job: str) -> str:
        return self.shown(self.folder / "done" / job)

    def log(self, job: str) -> str:
        return self.shown(self.folder / "logs" / f"{job}.log")

    def benchmark(self, job: str) -> str:
        """Snakemake's own measurement of a job: seconds and memory."""
        return self.shown(self.folder / "benchmarks" / f"{job}.tsv")

    def parameters(self, notebook: Notebook) -> dict[str, Any]:
        """What a notebook is given: whole suites, all variants, unless it is slow and not named.

        None gets fewer questions than it has by default: some pick their examples from those.
        """
        given: dict[str, Any] = {"preset": self.preset.name}
        if self.only is not None or not notebook.facts.slow:
            _, own = notebook.parameters.get("num_questions", ("int", self.num_questions))
            enough = max(own, self.num_questions) if own and self.num_questions else 0
            suites = benchmark_names(self.preset)
            given |= {"num_questions": enough, "suites": suites, "variants": ["all"]}
        if self.is_real:
            own_values = {name: value for name, (_, value) in notebook.parameters.items()}
            given = {name: self.counterpart(value) for name, value in own_values.items()} | given
            given |= OF_THE_MINIATURE
            if self.preset.evaluation is not None:
                given["frames"] = list(self.preset.evaluation.frames)
        return {name: value for name, value in given.items() if name in notebook.parameters}

    def shows(self, notebook: Notebook) -> bool:
        """Whether its results go to ``figures``; those of a slow one only when it is named."""
        return self.publishes and (self.only is not None or not notebook.facts.slow)

    def published(self, notebook: Notebook) -> list[str]:
        """Files that a notebook leaves in ``figures/``."""
        folder = published_folder(self.root, self.preset.name)
        return [self.shown(folder / f) for f in notebook.files] if self.shows(notebook) else []

    @property
    def targets(self) -> list[str]:
        """Everything that this run makes."""
        done = [file for b in self.notebooks for file in (self.marker(b.name), *self.published(b))]
        return done + ([self.shown(self.predictions)] if self.only is None else [])

    @property
    def predictions(self) -> Path:
        return self.folder / f"{PREDICTIONS}.json"

    def part_files(self, name: str) -> list[str]:
        """Files of a base model or stage as this run uses it; none where a part is absent."""
        if self.from_scratch:
            folder = self.root / "runs" / self.preset.name / "train" / name
            return [self.shown(folder / file) for file in PART_FILES]
        try:
            found = Path(find_checkpoint(self.preset, name))
        except CheckpointError:
            return []
        return [self.shown(found / file) for file in PART_FILES if (found / file).is_file()]

    def corpus_file(self, stage: str) -> str:
        """The sign of a finished corpus of a stage."""
        train = self.root / "runs" / self.preset.name / "train"
        return self.shown(train / "corpora" / stage / "corpus.json")

    @cached_property
    def checkpoint(self) -> list[str]:
        """Files of all parts that there are."""
        return [file for part in part_names(self.preset) for file in self.part_files(part)]

    def code(self, *sources: str) -> list[str]:
        """The library's files that modules, or pieces of Python, import; and the preset.

        With claims.py comes claims.yaml. Benchmarks are found by name, so code that reads them
        depends on the preset's plug-ins.
        """
        presets = (self.preset.name, self.preset.name.removesuffix(REHEARSAL))
        files = {PACKAGE / "presets" / f"{name}.yaml" for name in presets}
        files |= set(code_files(*sources))
        if PACKAGE / "evaluation" / "benchmark.py" in files:
            files |= set(code_files(*self.preset.plugins))
        files |= {data for f in files if (data := f.with_suffix(".yaml")).is_file()}
        return [self.shown(file) for file in sorted(files)]

    def manifests(self, *patterns: str) -> list[str]:
        """Files under ``data_manifests``."""
        found = [manifest_path(p.split("/")[0]).glob(p.partition("/")[2]) for p in patterns]
        return [self.shown(file) for files in found for file in sorted(files)]

    @cached_property
    def records_inputs(self) -> list[str]:
        """Checkpoints, and the code and manifests that predictions depend on."""
        inputs = [*self.checkpoint, *self.manifests("suites/*"), *self.code(JOBS)]
        return inputs + (self.manifests("benchmarks/*") if self.is_real else [])

    def records_jobs(self, suite: str) -> dict[str, int]:
        """Jobs that make the records of a suite, and which of ``parts`` each takes."""
        if self.parts == 1:
            return {f"records-{suite}": 0}
        return {f"records-{suite}-{i + 1}of{self.parts}": i for i in range(self.parts)}

    def resources(self, mem_mb: int, runtime: int) -> dict[str, int]:
        """What a job takes that runs a model; of the paper's scale, a GPU too."""
        if self.preset.name != PAPER_PRESET:
            return {"mem_mb": mem_mb, "runtime": runtime}
        return {"mem_mb": MODEL_MEGABYTES, "runtime": LONG_MINUTES, "gpu": 1}

    def notebook_inputs(self, notebook: Notebook) -> list[str]:
        """All that a notebook's results come from; records of whole suites by jobs of their own."""
        inputs = [self.shown(notebook.path), *self.code(notebook.source), *self.checkpoint]
        inputs += self.manifests(*MANIFESTS, *notebook.facts.inputs)
        records = [name for name in self.suites_of(notebook) if name in self.suites]
        return inputs + [self.marker(job) for name in records for job in self.records_jobs(name)]

    def shown(self, path: Path) -> str:
        """A path as rules name it: relative to the project where it lies inside."""
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()
