"""Memories that hold known things at known positions, and a decoder that reads some of them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from tempo_lib.analysis import slices
from tempo_lib.evaluation.clip import SharedClip
from tempo_lib.miniature.benchmark import SuiteVideo, suite_of
from tempo_lib.miniature.world.questions import sample_questions
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.compressor import SegmentMemories

SEGMENTS = 3


def paper_suite(num_videos, per_video=4):
    """A suite without files: ``per_video`` questions on each of some stories."""
    videos = []
    for index in range(num_videos):
        rng = np.random.default_rng(index)
        story = make_story(rng, 192)
        asked = sample_questions(rng, story, per_video)
        named = {f"{index}-{n}": q for n, q in enumerate(asked)}
        videos.append(SuiteVideo(str(index), Path("absent.mp4"), "", story, named))
    return suite_of("mini-mlvu", videos)


def plant(monkeypatch, model, suite, reads):
    """``model`` answers right where ``reads(positions, number)`` of what it was given is true.

    positions: the set of positions left in the memories; number: the question's, over the suite.
    Position i shows in channel i as +1 or -1, in turns, so that the mean memory shows nothing.
    Returns the list of answers asked for.
    """
    width = model.config.num_memory_tokens
    numbers = {
        (video.id, question.text): (number, question)
        for number, (video, question) in enumerate(
            (video, question) for video in suite.videos for question in video.questions
        )
    }
    asked = []

    def memories(self, reading):
        number, _ = numbers[self.video.id, reading.query]
        sign = 1.0 if number % 2 else -1.0
        where = torch.full((SEGMENTS,), float(self.video.id))
        return SegmentMemories(sign * torch.eye(width).expand(SEGMENTS, -1, -1), *[where] * 3)

    def decode(given, question, counts, scheme):
        assert counts.tolist() == [given.memories.shape[1]] * SEGMENTS
        number, right = numbers[str(int(given.seconds[0])), question]
        shown = given.memories[0].abs().amax(0) > 0.5
        asked.append(question)
        is_right = reads(set(shown.nonzero()[:, 0].tolist()), number)
        return SimpleNamespace(text=right.answer if is_right else "")

    def decode_many(_, question, cuts):
        return [decode(cut.memories, question, cut.counts, cut.scheme).text for cut in cuts]

    monkeypatch.setattr(SharedClip, "memories", memories)
    monkeypatch.setattr(slices, "decode_many", decode_many)
    return asked
