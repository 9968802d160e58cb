"""One video under a native model: one reading per share of the budget, one answer per question."""

from collections.abc import Sequence

import torch

from tempo_lib.allocation.policies import Limits
from tempo_lib.evaluation.benchmark import BenchmarkVideo
from tempo_lib.evaluation.clip import SharedFrames
from tempo_lib.evaluation.native import NativeVideo, NativeVlm, VisualTokens, fitting_tokens
from tempo_lib.evaluation.variants import Variant
from tempo_lib.model.tempo import Tempo


class NativeClip:
    """Like ``SharedClip``: ``model`` says which frames are read, and their size."""

    def __init__(self, vlm: NativeVlm, model: Tempo, frames: SharedFrames) -> None:
        self.vlm = vlm
        self.model = model
        self.frames = frames
        self._opened: dict[VisualTokens, NativeVideo] = {}
        self._texts: dict[tuple[VisualTokens, str], str] = {}

    @property
    def video(self) -> BenchmarkVideo:
        return self.frames.video

    def fitting(self, row: Variant, limits: Limits) -> tuple[VisualTokens, torch.Tensor]:
        """What is read under the budget, and its visual tokens per frame pair (P,)."""
        most, shape = self.frames.num_frames(self.model), self.model.patch_shape
        most = min(most, row.max_frames or most)
        rows, columns = (
            side // shape.factor for side in self.frames.at(self.model, most).frames.shape[1:3]
        )
        found = fitting_tokens(most, rows, columns, shape.temporal, limits.budget, row.pooled)
        pairs = -(-found.num_frames // shape.temporal)
        return found, torch.full((pairs,), found.rows * found.columns, dtype=torch.int64)

    def seconds(self, shape: VisualTokens) -> list[float]:
        """When each frame pair is."""
        return self._open(shape).seconds

    def predictions(self, question: str, shapes: Sequence[VisualTokens]) -> list[str]:
        """Texts, in the order of ``shapes``; equal ones are decoded once."""
        new = self.model.config.max_new_tokens
        for shape in shapes:
            if (shape, question) not in self._texts:
                self._texts[shape, question] = self._open(shape).answer(question, new)
        return [self._texts[shape, question] for shape in shapes]

    def forget_question(self) -> None:
        self._texts.clear()

    def _open(self, shape: VisualTokens) -> NativeVideo:
        if shape not in self._opened:
            video = self.frames.at(self.model, shape.num_frames)
            self._opened[shape] = self.vlm.open(video, self.model, shape)
        return self._opened[shape]
