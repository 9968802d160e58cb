"""What the Snakefile is made of: its jobs, and the files that each of them reads and leaves.

Nothing here runs a job. A job leaves a receipt under ``runs/<preset>/reproduce``; what it reads
decides whether it runs again: its notebook, the library code behind it, checkpoints, manifests.
"""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint, part_names, stage_names
from tempo_lib.config import DEFAULT_PRESET, Preset, load_preset
from tempo_lib.fingerprint import PACKAGE, code_files
from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.provenance import manifest_path, project_root
from tempo_lib.reproduce.batch_notebooks import Notebook, find_notebooks, suites_of

BASES = ("base_decoder", "base_compressor")
RERANKER = "reranker"  # judges in an evaluation; no stage needs it
PARTS = part_names(load_preset(DEFAULT_PRESET))
PART_FILES = ("card.json", "config.json", "model.safetensors", "tokenizer.json")
# Each of these trainings waits for the one before it, which leaves a second core without a job: it
# has a thread of theirs. Other jobs have one thread.
THREADS = dict.fromkeys(stage_names(load_preset(DEFAULT_PRESET))[1:], 2)
MANIFESTS = ("paper", "suites", "training")
CLIPS, GALLERY = "clips", "gallery"


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """The jobs of one batch run. ``only``: the name of the one notebook that runs, None for all.

    ``num_questions``: of each suite, 0 for all of them. Results of a part of the questions stay
    under ``runs`` unless ``publish`` is said: they might replace better ones in ``figures``.
    """

    preset: Preset
    root: Path
    only: str | None = None
    from_scratch: bool = False
    num_questions: int = 0
    publish: bool = False

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
    def command(self) -> str:
        """How a rule calls a job of this preset."""
        call = [sys.executable, "-m", "tempo_lib.reproduce.jobs", "--preset", self.preset.name]
        call += ["--num-questions", str(self.num_questions)]
        call += [] if self.only is None else ["--only", self.only]
        return shlex.join([*call, "--publish"] if self.publish else call)

    @cached_property
    def notebooks(self) -> list[Notebook]:
        """The notebooks that run."""
        return [book for book in find_notebooks(self.root) if self.only in (None, book.name)]

    @property
    def suites(self) -> list[str]:
        """Suites, the longest videos first: their jobs take longest, so they start first."""
        return sorted(SUITE_SECONDS, key=lambda name: -SUITE_SECONDS[name])

    def receipt(self, job: str) -> str:
        return self.shown(self.folder / "receipts" / f"{job}.json")

    def failure(self, job: str) -> Path:
        """Where a failed job says why."""
        return self.folder / "failures" / f"{job}.json"

    def benchmark(self, job: str) -> str:
        """Snakemake's own measurement of a job: seconds and memory."""
        return self.shown(self.folder / "benchmarks" / f"{job}.tsv")

    def parameters(self, notebook: Notebook) -> dict[str, Any]:
        """What a notebook is given in this run."""
        by_name = self.only is not None
        return notebook.batch_parameters(self.preset.name, self.num_questions, by_name)

    def shows(self, notebook: Notebook) -> bool:
        """Whether its results go to ``figures``; those of a slow one do by name alone."""
        return self.publishes and (self.only is not None or not notebook.is_slow)

    def published(self, notebook: Notebook) -> list[str]:
        """Provenance files that a notebook leaves in ``figures/``, one a result."""
        if not self.shows(notebook):
            return []
        folder = self.root / "figures" / self.preset.name
        return [self.shown(folder / f"{name}.json") for name in notebook.results]

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

    def corpus_file(self, stage: int) -> str:
        """The sign of a finished corpus of a stage."""
        train = self.root / "runs" / self.preset.name / "train"
        return self.shown(train / "corpora" / f"stage{stage}" / "corpus.json")

    @cached_property
    def checkpoint(self) -> list[str]:
        """Files of all parts that there are."""
        return [file for part in PARTS for file in self.part_files(part)]

    def code(self, *sources: str) -> list[str]:
        """The library's files that these modules, or pieces of Python, import; and the preset."""
        files = {PACKAGE / "presets" / f"{self.preset.name}.yaml", *code_files(*sources)}
        return [self.shown(file) for file in sorted(files)]

    def suite_inputs(self, suite: str) -> list[str]:
        """The world's code and the suite's manifest."""
        return [
            self.shown(manifest_path(f"suites/{suite}.yaml")),
            *self.code("tempo_lib.miniature.benchmark"),
        ]

    def records_inputs(self, suite: str) -> list[str]:
        """Code that answers depend on, what names variants, the suite's manifest."""
        code = ("evaluation.runner", "miniature.benchmark", "statistics.claims", "analysis.stages")
        manifest = self.shown(manifest_path(f"suites/{suite}.yaml"))
        return [manifest, *self.code(*(f"tempo_lib.{name}" for name in code))]

    def notebook_inputs(self, notebook: Notebook) -> list[str]:
        """All that a notebook's results come from.

        In a whole run suites are asked by jobs of their own, side by side. A notebook that runs
        alone asks its few variants itself, unless it takes all of them.
        """
        manifests = [
            self.shown(file)
            for folder in MANIFESTS
            for file in sorted(manifest_path(folder).glob("*.*"))
        ]
        code = self.code(notebook.source)
        inputs = [self.shown(notebook.path), *code, *manifests, *self.measurements(notebook.source)]
        inputs += self.checkpoint
        if self.only is None or "variants" in notebook.parameters:
            inputs += [self.receipt(f"records-{name}") for name in suites_of(notebook)]
        return inputs

    def measurements(self, source: str) -> list[str]:
        """Measurements that a notebook names; the digests of their tables are part of them."""
        found = sorted(manifest_path("measurements").glob("*.json"))
        return [self.shown(file) for file in found if f'"{file.stem}"' in source]

    @property
    def gallery_inputs(self) -> list[str]:
        """Receipts of everything that this run is asked for."""
        receipts = [self.receipt(notebook.name) for notebook in self.notebooks]
        return receipts + ([self.receipt(CLIPS)] if self.only is None else [])

    def shown(self, path: Path) -> str:
        """A path as rules name it: relative to the project where it lies inside."""
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()
