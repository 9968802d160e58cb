"""The training section of a preset: one column of Table A per stage, and how samples are read."""

from typing import Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tempo_lib.config.base import StrictModel

Part = Literal["compressor", "memory_tokens", "projector", "decoder"]


class StageNumbers(StrictModel):
    """One column of Table A, scaled to the preset.

    A step takes either ``global_batch`` samples, or at most ``batch_samples`` samples of about one
    length with at most ``batch_segments`` segments. Neither depends on the number of ranks.
    """

    name: str
    trainable: tuple[Part, ...]
    optimizer: Literal["AdamW"]  # of torch.optim
    learning_rate: PositiveFloat  # decoder, projector and memory tokens
    compressor_learning_rate: PositiveFloat | None
    schedule: Literal["cosine", "linear", "constant_with_warmup"]  # after a linear warm-up
    warmup_ratio: NonNegativeFloat
    weight_decay: NonNegativeFloat
    adam_beta2: PositiveFloat
    clip_norm: PositiveFloat
    precision: Literal["auto", "bf16", "no"]  # of products; weights and optimiser stay float32
    activation_checkpointing: bool  # of each decoder layer and vision block: memory for time
    window: PositiveInt
    max_frames: PositiveInt
    max_context: PositiveInt
    global_batch: PositiveInt | None  # samples per step, whatever the ranks
    batch_segments: PositiveInt | None  # segments per step: long and short clips cost the same
    batch_samples: PositiveInt | None  # most samples per step
    # Most that a rank passes through at once, None: its whole share. An image at its own size is
    # one segment of 64 to 16,384 visual tokens: where such are read the bound is on tokens.
    micro_segments: PositiveInt | None
    micro_tokens: PositiveInt | None  # visual tokens, and one for four bytes of text
    epochs: PositiveFloat
    max_steps: NonNegativeInt  # 0: as many as the epochs give
    # Share of samples whose segments are read under another prompt template (prompts.OPENINGS)
    # instead of the standard prompt; never under the routing prompt. The paper has none: 0.
    varied_prompt_share: NonNegativeFloat
    num_gpus: PositiveInt | None  # that the column was published with

    @model_validator(mode="after")
    def check_batch(self) -> Self:
        """ValueError unless exactly one of the two ways to fill a step is given, and one bound."""
        if None not in (self.micro_segments, self.micro_tokens):
            raise ValueError("give micro_segments or micro_tokens, not both")
        by_length = [self.batch_segments, self.batch_samples]
        if self.global_batch is None and None not in by_length:
            return self
        if self.global_batch is not None and by_length == [None, None]:
            return self
        raise ValueError("give global_batch, or batch_segments and batch_samples")


class LabelRules(StrictModel):
    """What compressor and decoder read of a conversation, and which tokens are targets.

    The release's values are ``context-turns``, ``whole`` and ``turn`` (DIFFERENCES.md).
    """

    query: Literal["question", "context-turns"]  # bare, or all human turns, numbered and joined
    conversation: Literal["split", "whole"]  # a sample per question, or one decoder row
    targets: Literal["answer", "turn"]  # the answer and its end, or the turn and every separator

    @model_validator(mode="after")
    def check_query(self) -> Self:
        """ValueError where one sample has several questions but the compressor reads one."""
        if self.conversation == "whole" and self.query == "question":
            raise ValueError("conversation whole is compressed once: it needs query context-turns")
        return self


class LoaderNumbers(StrictModel):
    """How samples reach the model. Nothing of it changes what a training learns.

    ``streams``: records of one's own data are read from an index, and media decoded when their step
    comes; else all media are decoded before the first step and kept.
    """

    streams: bool
    num_workers: NonNegativeInt  # processes of each rank that decode; 0: the rank itself
    prefetch: PositiveInt  # passes that each of them holds ready


class TrainingNumbers(StrictModel):
    """``manifest``: below data_manifests, the mixture that a stage reads unless another is given.

    ``keep_states``: how many saved states of an unfinished stage stay, ``save_every`` steps apart.
    """

    manifest: str
    save_every: PositiveInt
    keep_states: PositiveInt
    labels: LabelRules
    loader: LoaderNumbers
    stages: dict[int, StageNumbers]
