"""What lessons 40 and 43 take from the procedural world: labelled clips, and a small corpus.

The instruments of ``tempo_lib.analysis`` know no world; they read what is made here.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tempo_lib.config import Preset
from tempo_lib.evaluation.benchmark import Question
from tempo_lib.evaluation.letters import LETTERS
from tempo_lib.miniature.pretrain.build import Miniature, make_corpus
from tempo_lib.miniature.world.captions import CAPTION_QUESTION, DESCRIPTION_QUESTION
from tempo_lib.miniature.world.corpora import build_corpus
from tempo_lib.miniature.world.corpus_specs import CorpusSpec, SourceSpec
from tempo_lib.miniature.world.questions import QUESTION_TEXT
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import ACTORS, FPS, Scene, Story, make_story
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import manifest_path
from tempo_lib.training.collate import Collator
from tempo_lib.training.data import load_manifest, load_samples
from tempo_lib.training.frames import FrameStore
from tempo_lib.training.records import Sample, read_record
from tempo_lib.training.stages import stage_numbers
from tempo_lib.video.clip import Video

ATTRIBUTES = ("shape", "colour", "number", "place", "bystander", "time", "relevance")
TIME_BUCKETS = 4  # quarters of the video
CORPUS_SEED = 0
STAGES = (0, 1)
HELD_OUT = "held-out"
NUM_CLIPS = 80  # held out; four questions each
STORIES = {"clips": 1300}  # of these sources: what the kept trainings read, less than the recipe
HELD_OUT_KINDS = ("needle", "attribute")  # of one scene; captions and descriptions join them
BATCH = 64  # questions at once


@dataclass(frozen=True)
class LabelledClip:
    """A story as a clip, and rows (segment, question, labels): each segment that shows one actor,
    with a question about that actor and one about another; labels by ``ATTRIBUTES``."""

    story: Story
    rows: tuple[tuple[int, str, dict[str, str]], ...]
    seed: tuple[int, int]
    size: int

    @property
    def video(self) -> Video:
        """Painted anew each time: a lesson's clips together would not fit in memory."""
        return Video(render(self.story, list(self.seed), self.size), fps=FPS)


def candidate_answers(question: Question) -> list[str]:
    """The right answer, with each option and its letter in the place of the right one's."""
    ends = [f"{text} {letter}." for text, letter in zip(question.options, LETTERS, strict=False)]
    right = [end for end in ends if question.answer.endswith(end)]
    if len(right) != 1:
        raise ValueError(f"no option ends the answer {question.answer!r}: {question.options}")
    stem = question.answer.removesuffix(right[0])
    return [stem + end for end in ends]


def draw_stories(count: int, seed: int, num_frames: int = 64) -> list[Story]:
    """Stories of 8 segments at the usual window; no corpus is drawn this way."""
    return [make_story(np.random.default_rng([seed, 40, i]), num_frames) for i in range(count)]


def labelled_clips(
    stories: Sequence[Story], window: int, stride: int, seed: int = 0, size: int = 128
) -> list[LabelledClip]:
    """A clip per story; segments without an actor have no row, for most attributes are of actors.

    The other actor of a segment is seen elsewhere in the video where there is such an actor.
    ``seed`` paints the stories and draws the others; ``size``: pixels.
    """
    clips = []
    for index, story in enumerate(stories):
        rng = np.random.default_rng([seed, index])
        count = len(range(0, story.num_frames, stride))
        rows = []
        for segment, scene in actor_segments(story, window, stride):
            for actor in (str(scene.actor), _other_actor(rng, story, str(scene.actor))):
                question = QUESTION_TEXT["needle"].format(actor=actor)
                rows.append((segment, question, _labels(scene, segment, count, actor)))
        clips.append(LabelledClip(story, tuple(rows), (seed, index), size))
    return clips


def actor_segments(story: Story, window: int, stride: int) -> Iterator[tuple[int, Scene]]:
    """Index and scene of every segment that shows one scene, with an actor."""
    for segment, start in enumerate(range(0, story.num_frames, stride)):
        seen = story.visible(start, start + window)
        if len(seen) == 1 and seen[0].actor is not None:
            yield segment, seen[0]


@dataclass(frozen=True)
class HeldOut:
    """Questions about clips that no training reads: their samples and what names them."""

    samples: list[Sample]
    named: list[dict[str, Any]]
    collate: Collator

    def batches(self) -> Iterator[tuple[list[dict[str, Any]], dict[str, torch.Tensor]]]:
        """Rows that name the questions, and the batch of ``Tempo.forward`` that holds them."""
        for start in range(0, len(self.samples), BATCH):
            part = slice(start, start + BATCH)
            yield self.named[part], self.collate(self.samples[part])


@dataclass(frozen=True, kw_only=True)
class LessonCorpus:
    """Corpora of stages 0 and 1, held-out clips and decoded frames below ``folder``."""

    preset: Preset
    folder: Path

    @property
    def frames(self) -> Path:
        return self.folder / "frames"

    def samples(self, stage: int, tasks: str = "all") -> list[Sample]:
        """A stage's samples; of those with pictures, the ones of ``tasks``: all, captions or
        questions. Stage 0 has captions alone, so "questions" leaves it as it is."""
        if self.preset.training is None:
            raise ValueError(f"preset {self.preset.name} has no training configuration")
        manifest = load_manifest(manifest_path(self.preset.training.manifest))
        samples = load_samples(manifest, stage, self.folder / "corpora")
        if tasks == "all" or stage == 0:
            return samples
        wanted = tasks == "captions"
        return [s for s in samples if s.media is None or is_caption(s.question) == wanted]

    def held_out(self, model: Tempo) -> HeldOut:
        """The questions about held-out clips, as ``model`` reads them."""
        numbers = stage_numbers(self.preset, STAGES[-1])
        store = FrameStore(model, model.config.video_numbers, numbers.max_frames, self.frames)
        collate = Collator(model, store, numbers.window, numbers.max_context)
        path = self.folder / HELD_OUT / "clips.json"
        samples, named = [], []
        for number, record in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            (sample,) = read_record(record, "video", path, number)
            samples.append(sample)
            facts = {"video": Path(record["video"]).stem, "question_id": sample.id}
            named.append({**facts, "kind": record["kind"]})
        return HeldOut(samples, named, collate)


def lesson_corpus(
    preset: Preset, folder: Path, share: float = 1.0, num_clips: int = NUM_CLIPS, workers: int = 1
) -> LessonCorpus:
    """Write what is missing of the corpora and the held-out clips.

    ``share`` of the stories that the kept trainings read. ValueError for a preset that is no
    miniature, and where ``folder`` holds corpora of another recipe.
    """
    mini = Miniature(preset, folder, CORPUS_SEED)
    scaled = scaled_miniature(mini, share)
    for stage in STAGES:
        make_corpus(scaled, stage, workers)
    build_corpus(folder / HELD_OUT, _held_out_spec(mini, num_clips), CORPUS_SEED)
    return LessonCorpus(preset=preset, folder=folder)


def is_caption(question: str) -> bool:
    """Whether a sample wants a description of what is seen: a caption, or one actor's."""
    return question == CAPTION_QUESTION or question.startswith(DESCRIPTION_QUESTION.split("{")[0])


def scaled_miniature(mini: Miniature, share: float) -> Miniature:
    """With ``share`` of the kept trainings' stories in the corpora, at least 2 per source."""
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


def _held_out_spec(mini: Miniature, num_clips: int) -> CorpusSpec:
    """Clips as stage 1 has them, each with every question that one scene allows."""
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
        questions_per_story=len(HELD_OUT_KINDS),
        captions=True,
        descriptions=True,
        kinds=HELD_OUT_KINDS,
    )
    name = f"conditions-{HELD_OUT}"  # of its own, so that no story of a stage is among them
    return CorpusSpec(name=name, size=corpus.size, crf=corpus.crf, sources=(source,))


def _other_actor(rng: np.random.Generator, story: Story, actor: str) -> str:
    others = [name for name in story.appearances if name != actor]
    others = others or [name for name in ACTORS if name != actor]
    return others[int(rng.integers(len(others)))]


def _labels(scene: Scene, segment: int, num_segments: int, actor: str) -> dict[str, str]:
    colour, shape = str(scene.actor).split()
    bystander = " and ".join(one.name for one in scene.bystanders) or "none"
    time = str(TIME_BUCKETS * segment // num_segments)
    relevance = "yes" if actor == scene.actor else "no"
    values = (shape, colour, str(scene.number), scene.place, bystander, time, relevance)
    return dict(zip(ATTRIBUTES, values, strict=True))
