"""What all conditions of a preset are trained on and asked: one corpus, one set of held-out clips.

Corpora that lie in ``runs/<preset>/conditions/corpora`` are reused, so finished ones may be put
there. Media are decoded once for all runs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from tempo_lib.config import Preset
from tempo_lib.miniature.pretrain.build import Miniature, make_corpus
from tempo_lib.miniature.world.corpora import build_corpus
from tempo_lib.miniature.world.corpus_specs import CorpusSpec, SourceSpec
from tempo_lib.miniature.world.language import CAPTION_QUESTION, DESCRIPTION_QUESTION
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import manifest_path, sha256_of_file
from tempo_lib.training.data import (
    Collator,
    FrameStore,
    Sample,
    Source,
    load_manifest,
    load_samples,
    read_record,
)
from tempo_lib.training.stages import stage_numbers

CORPUS_SEED = 0
STAGES = (0, 1)
HELD_OUT = "held-out"
NUM_CLIPS = 80  # held out; four questions each
STORIES = {"clips": 1300}  # of these sources: what the kept runs learned from, less than the recipe
KINDS = ("needle", "attribute")  # what one scene can be asked; captions and descriptions join them
BATCH = 64  # questions asked at once

Tasks = Literal["all", "captions", "questions"]


@dataclass(frozen=True)
class HeldOut:
    """Questions about clips that no run is trained on: their samples and what tells them apart."""

    samples: list[Sample]
    named: list[dict[str, Any]]
    collate: Collator

    def batches(self) -> Iterator[tuple[list[dict[str, Any]], dict[str, torch.Tensor]]]:
        """Rows that name the questions, and the batch of ``Tempo.forward`` that asks them."""
        for start in range(0, len(self.samples), BATCH):
            part = slice(start, start + BATCH)
            yield self.named[part], self.collate(self.samples[part])


@dataclass(frozen=True, kw_only=True)
class ConditionData:
    """Corpora and decoded frames of all runs of a preset, below ``folder``."""

    preset: Preset
    folder: Path
    num_clips: int = NUM_CLIPS

    @property
    def frames(self) -> Path:
        return self.folder / "frames"

    @property
    def corpora(self) -> list[str]:
        """Hashes of the corpora's specs and seed."""
        markers = [self.folder / "corpora" / f"stage{stage}" / "spec.sha256" for stage in STAGES]
        return [marker.read_text(encoding="utf-8").strip() for marker in markers]

    @property
    def held_out_sha256(self) -> str:
        return sha256_of_file(self._held_out / "clips.json")

    def samples(self, stage: int, tasks: Tasks = "all") -> list[Sample]:
        """A stage's samples; of those with pictures, the ones of ``tasks``.

        Stage 0 has captions alone, so "questions" leaves it as it is.
        """
        manifest = load_manifest(manifest_path(_training_manifest(self.preset)))
        samples = load_samples(manifest, stage, self.folder / "corpora")
        if tasks == "all" or stage == 0:
            return samples
        wanted = tasks == "captions"
        return [s for s in samples if s.media is None or is_caption(s.question) == wanted]

    def held_out(self, model: Tempo) -> HeldOut:
        """The questions about held-out clips, for the words and the eyes of ``model``."""
        numbers = stage_numbers(self.preset, STAGES[-1])
        store = FrameStore(model, model.config.video_numbers, numbers.max_frames, self.frames)
        collate = Collator(model, store, numbers.window, numbers.max_context)
        path = self._held_out / "clips.json"
        samples, named = [], []
        for number, record in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            (sample,) = read_record(record, _HELD_OUT_SOURCE, path, number)
            samples.append(sample)
            facts = {"video": Path(record["video"]).stem, "question_id": sample.id}
            named.append({**facts, "kind": record["kind"]})
        return HeldOut(samples, named, collate)

    @property
    def _held_out(self) -> Path:
        return self.folder / HELD_OUT


_HELD_OUT_SOURCE = Source(
    name=HELD_OUT,
    annotations="clips.json",
    modality="video",
    licence="Apache-2.0",
    made_by="tempo_lib.miniature.world.corpora.build_corpus",
    note="clips of stage 1's length from another space of seeds",
)


def make_data(
    preset: Preset,
    folder: Path,
    share: float = 1.0,
    num_clips: int = NUM_CLIPS,
    workers: int = 1,
) -> ConditionData:
    """Write what is missing of the corpora and the held-out clips.

    ``share`` of the runs' stories. ValueError for a preset that is no miniature, and where
    ``folder`` holds corpora of another recipe.
    """
    mini = Miniature(preset, folder, CORPUS_SEED)
    scaled = scaled_miniature(mini, share)
    for stage in STAGES:
        make_corpus(scaled, stage, workers)
    build_corpus(folder / HELD_OUT, _held_out_spec(mini, num_clips), CORPUS_SEED)
    return ConditionData(preset=preset, folder=folder, num_clips=num_clips)


def decode_all(data: ConditionData, model: Tempo) -> None:
    """Decode every clip of all runs, so that runs side by side find them decoded."""
    video = model.config.video_numbers
    for stage in STAGES:
        numbers = stage_numbers(data.preset, stage)
        store = FrameStore(model, video, numbers.max_frames, data.frames)
        media = {s.media for s in data.samples(stage) if s.media is not None}
        store.prepare(sorted(media))
    held_out = data.held_out(model)
    held_out.collate.store.prepare(sorted({s.media for s in held_out.samples if s.media}))


def is_caption(question: str) -> bool:
    """Whether a sample asks to describe what is seen: a caption, or one actor's description."""
    return question == CAPTION_QUESTION or question.startswith(DESCRIPTION_QUESTION.split("{")[0])


def _held_out_spec(mini: Miniature, num_clips: int) -> CorpusSpec:
    """Clips as stage 1 has them, each asked for everything that one scene holds."""
    corpus = mini.numbers.corpora["stage1"]
    numbers = stage_numbers(mini.preset, 1)
    source = SourceSpec(
        name="clips",
        modality="video",
        num_stories=num_clips,
        min_frames=numbers.max_frames,
        max_frames=numbers.max_frames,
        frame_step=2,
        window=numbers.window,
        questions_per_story=len(KINDS),
        captions=True,
        descriptions=True,
        kinds=KINDS,
    )
    name = f"conditions-{HELD_OUT}"  # of its own, so that no story of a stage is among them
    return CorpusSpec(name=name, size=corpus.size, crf=corpus.crf, sources=(source,))


def scaled_miniature(mini: Miniature, share: float) -> Miniature:
    """With ``share`` of the runs' stories in the stages' corpora, at least 2 a source."""
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share must lie in 0..1, above 0, got {share}")
    corpora = dict(mini.numbers.corpora)
    for stage in STAGES:
        corpus = corpora[f"stage{stage}"]
        sources = []
        for source in corpus.sources:
            whole = STORIES.get(source.name, source.num_stories)
            sources.append(replace(source, num_stories=max(2, round(share * whole))))
        corpora[f"stage{stage}"] = replace(corpus, sources=tuple(sources))
    numbers = mini.numbers.model_copy(update={"corpora": corpora})
    return replace(mini, preset=mini.preset.model_copy(update={"miniature": numbers}))


def _training_manifest(preset: Preset) -> str:
    if preset.training is None:
        raise ValueError(f"preset {preset.name} has no training configuration")
    return preset.training.manifest
