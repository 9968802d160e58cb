"""Other sources of the relevance score than Tempo itself: its base model, a reranker, a plug-in.

Table 2 D changes the source of the score alone: the decoder reads Tempo's memories. The two
scorers here are Qwen3-VL models that read the compressor's prompt and give Yes or No at its last
token, so they need no memory tokens; system prompt and video are encoded once per video, as in
``VideoSession``. One more scorer is one loader under ``@SCORERS.register("name")``, of any kind
of model; ``prior-<name>`` is then a variant of ``tempo evaluate``.

Shape suffixes: N segments, D width.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint
from tempo_lib.evaluation.records import weights_digest
from tempo_lib.model.compressor import Compressor
from tempo_lib.model.rope import pinned_frequencies
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.registry import Registry

FOLDERS = {"base": "base_compressor", "reranker": "reranker"}
# Stored weights may be rounded to half precision; other weights differ far more.
SAME_ROWS = 1e-2


class VideoScorer(Protocol):
    """Scores the segments of one video."""

    def logits(self, question: str, prompt: str) -> torch.Tensor:
        """Relevance logits (N,), float32 on the CPU: scores before their sigmoid (Eq. 2).

        ``prompt``: name of a system prompt, for scorers that read one.
        """


class Scorer(Protocol):
    """A model that gives relevance scores; ``weights`` tells one from another in records."""

    weights: str

    def open(self, session: VideoSession) -> VideoScorer:
        """The scorer at work on the video that ``session`` holds."""


SCORERS: Registry[Callable[[Tempo], Scorer]] = Registry("scorer")


class VlmScorer:
    """A Qwen3-VL that scores segments; ``name`` says where it comes from."""

    def __init__(self, compressor: Compressor, name: str) -> None:
        self.compressor = compressor.eval()
        self.name = name
        self.weights = weights_digest(compressor)

    def open(self, session: VideoSession) -> VideoSession:
        """The same video, windows and texts under this scorer's weights."""
        return VideoSession(self.compressor, session.text, session.config, session.segments)


@SCORERS.register("base")
def load_base(model: Tempo) -> VlmScorer:
    """The base compressor that ``model`` came from.

    CheckpointError, with the way out, when there is none, or when it is not the one whose Yes and
    No rows the model keeps.
    """
    scorer = _load("base", model)
    theirs, ours = (c.relevance_rows.float() for c in (scorer.compressor, model.compressor))
    if not torch.allclose(theirs, ours, rtol=SAME_ROWS, atol=SAME_ROWS):
        raise CheckpointError(
            f"{scorer.name} is not the base model of {model.name_or_path}: their Yes and No rows "
            "differ; put the right base_compressor folder beside the checkpoint"
        )
    return scorer


@SCORERS.register("reranker")
def load_reranker(model: Tempo) -> VlmScorer:
    """The external retriever that goes with ``model``; CheckpointError when there is none."""
    return _load("reranker", model)


def check_scorer(name: str, model: Tempo) -> None:
    """CheckpointError where a scorer's weights are absent; loads nothing.

    Only a plug-in itself knows what it needs, so its loader tells.
    """
    if name in FOLDERS:
        scorer_folder(name, model)
    else:
        SCORERS.get(name)


def scorer_folder(source: str, model: Tempo) -> str | Path:
    """The folder beside the model's checkpoint, else your own run's or the shipped one.

    CheckpointError where there is none.
    """
    name = FOLDERS[source]
    beside = Path(model.name_or_path).parent / name
    if model.name_or_path and (beside / "config.json").is_file():
        return beside
    return find_checkpoint(model.config.preset, name)


def _load(name: str, model: Tempo) -> VlmScorer:
    folder = scorer_folder(name, model)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=model.dtype)
    if AutoTokenizer.from_pretrained(folder).get_vocab() != model.encoder.tokenizer.get_vocab():
        raise CheckpointError(
            f"{folder} was made with another tokenizer than {model.name_or_path}; make both by "
            "`tempo train --preset tiny --from-scratch`"
        )
    return VlmScorer(as_compressor(vlm, model), str(folder))


def as_compressor(vlm: Qwen3VLForConditionalGeneration, model: Tempo) -> Compressor:
    """A compressor without memory tokens, with the weights of ``vlm`` and its Yes and No rows."""
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights that are replaced
        compressor = Compressor(vlm.config, num_memory_tokens=0)
    with pinned_frequencies(compressor, not model.config.release_numerics):
        compressor.to(vlm.dtype)
    compressor.vlm.load_state_dict(vlm.model.state_dict())
    yes, no = (model.encoder.encode(word) for word in (prompts.YES, prompts.NO))
    if len(yes) != 1 or len(no) != 1:
        raise CheckpointError(f"Yes and No must be one token each, got {len(yes)} and {len(no)}")
    compressor.relevance_rows.copy_(vlm.lm_head.weight.detach()[[yes[0], no[0]]])
    return compressor.to(model.device)
