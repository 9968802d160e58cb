"""Who says how relevant a segment is: Tempo's own compressor, its base model, or a reranker.

Table 2 D changes the source of the score alone: Tempo's memories answer. A scorer is a Qwen3-VL
that reads the compressor's prompt and is asked for Yes or No at its last token, so it needs no
memory tokens; system prompt and video are encoded once a video, as in ``VideoSession``.

Shape suffixes: N segments, D width.
"""

from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tempo_lib import prompts
from tempo_lib.checkpoints.loading import CheckpointError, find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.evaluation.records import weights_digest
from tempo_lib.evaluation.variants import ScoreSource
from tempo_lib.model.compressor import Compressor
from tempo_lib.model.rope import pinned_frequencies
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo

FOLDERS = {"base": "base_compressor", "reranker": "reranker"}
# Stored weights may be rounded to half precision; other weights differ far more.
SAME_ROWS = 1e-2


class Scorer:
    """A Qwen3-VL that judges segments.

    ``open(session)`` gives the judge of one video; its ``logits(question, prompt)`` are float32
    (N,), the scores of Eq. 2 before their sigmoid. ``weights`` tells scorers apart.
    """

    def __init__(self, compressor: Compressor, name: str) -> None:
        self.compressor = compressor.eval()
        self.name = name
        self.weights = weights_digest(compressor)

    def open(self, session: VideoSession) -> VideoSession:
        """The same video, windows and texts under this scorer's weights."""
        return VideoSession(self.compressor, session.text, session.config, session.segments)

    @torch.no_grad()
    def scores(self, session: VideoSession, question: str, prompt: str) -> torch.Tensor:
        """Scores (N,) in (0, 1) of one question; for many, keep what ``open`` returns."""
        return self.open(session).logits(question, prompt).sigmoid()


def load_scorer(source: ScoreSource, model: Tempo) -> Scorer:
    """The base compressor that ``model`` came from, or the reranker that goes with it.

    CheckpointError, with the way out, when there is none, when its words are not the model's,
    or when a base model is not the one whose Yes and No rows the model keeps.
    """
    folder = scorer_folder(source, model)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=model.dtype)
    if AutoTokenizer.from_pretrained(folder).get_vocab() != model.encoder.tokenizer.get_vocab():
        raise CheckpointError(
            f"{folder} was made with another tokenizer than {model.name_or_path}; make both by "
            "`tempo train --preset tiny --from-scratch`"
        )
    scorer = Scorer(as_compressor(vlm, model), str(folder))
    theirs, ours = (c.relevance_rows.float() for c in (scorer.compressor, model.compressor))
    if source == "base" and not torch.allclose(theirs, ours, rtol=SAME_ROWS, atol=SAME_ROWS):
        raise CheckpointError(
            f"{folder} is not the base model of {model.name_or_path}: their Yes and No rows "
            "differ; put the right base_compressor folder beside the checkpoint"
        )
    return scorer


def scorer_folder(source: ScoreSource, model: Tempo) -> str | Path:
    """The folder beside the model's checkpoint, else your own run's or the shipped one.

    CheckpointError where there is none.
    """
    name = FOLDERS[source]
    beside = Path(model.name_or_path).parent / name
    if model.name_or_path and (beside / "config.json").is_file():
        return beside
    preset = load_preset(model.config.preset)
    if preset.miniature is not None:
        return find_checkpoint(preset, name)
    if source == "base" and preset.weights.base_compressor is not None:
        return preset.weights.base_compressor
    raise CheckpointError(
        f"preset {preset.name} names no {source}; pass scorers={{{source!r}: Scorer(...)}}"
    )


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
