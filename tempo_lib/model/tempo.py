"""Tempo: compressor, projector, decoder.

Training runs ``forward``: every segment keeps all its memory tokens. Inference runs
``compress -> allocate -> reduce_memories -> generate`` and each arrow is a short function.
Shape suffixes: S samples, N segments of all samples together, L decoder tokens, A answer tokens,
D width, W words of the vocabulary.
"""

from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import CausalLMOutput

from tempo_lib import prompts
from tempo_lib.allocation.ata import allocate
from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.checkpoints.headers import load_tokenizer
from tempo_lib.checkpoints.loading import check_complete, open_checkpoint
from tempo_lib.model.attention import mask_if_needed, resolve_attention
from tempo_lib.model.compressor import Compressor, SegmentMemories
from tempo_lib.model.config import TempoConfig
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER, Turn, decoder_ids
from tempo_lib.model.processing import PatchShape, TextEncoder
from tempo_lib.model.rope import pinned_frequencies, placement, set_release_numerics
from tempo_lib.model.session import VideoSession
from tempo_lib.video.clip import Video


@dataclass(frozen=True)
class Answer:
    """An answer and what it cost: counts (N,), scores (N,), seconds (N,) of the segments."""

    text: str
    token_ids: list[int]
    counts: torch.Tensor
    scores: torch.Tensor
    seconds: torch.Tensor
    budget: int

    @property
    def tokens_used(self) -> int:
        return int(self.counts.sum())


class Tempo(PreTrainedModel):
    """The whole model. ``from_pretrained`` also brings its tokenizer.

    ``Tempo.from_pretrained(path_or_hub_id, dtype="auto", device="auto")`` reads a folder written
    by ``save_pretrained``.
    """

    config_class = TempoConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = [
        "Qwen3VLTextDecoderLayer",
        "Qwen3VLVisionBlock",
        "Qwen3DecoderLayer",
    ]

    def __init__(
        self, config: TempoConfig, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> None:
        super().__init__(config)
        attention = resolve_attention(config._attn_implementation or "auto")
        self.compressor = Compressor(config.compressor_config, config.num_memory_tokens, attention)
        self.projector = nn.Linear(
            config.compressor_config.text_config.hidden_size, config.decoder_config.hidden_size
        )
        self.decoder = AutoModelForCausalLM.from_config(
            config.decoder_config, attn_implementation=attention
        )
        self.text: TextEncoder | None = None
        if tokenizer is not None:
            self.attach_tokenizer(tokenizer)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights: the held models know their own; the projector is a plain linear map."""
        if module is self.projector:
            module.weight.data.normal_(0.0, module.in_features**-0.5)
            module.bias.data.zero_()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """``to``, ``half``, ``cuda``: all come through here, and rotary frequencies only move."""
        with pinned_frequencies(self, is_pinned=not self.config.release_numerics):
            return super()._apply(fn, recurse)

    # -- text ------------------------------------------------------------------------------

    def attach_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Give the model its words; ``from_pretrained`` does this itself."""
        self.text = TextEncoder(tokenizer)

    @property
    def encoder(self) -> TextEncoder:
        if self.text is None:
            raise ValueError("this Tempo has no tokenizer; call attach_tokenizer(tokenizer) first")
        return self.text

    @property
    def patch_shape(self) -> PatchShape:
        vision = self.config.compressor_config.vision_config
        return PatchShape(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)

    # -- training --------------------------------------------------------------------------

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        pixel_rows: torch.Tensor | None = None,
        grid_thw: torch.Tensor | None = None,
        compressor_ids: torch.Tensor | None = None,
        compressor_mask: torch.Tensor | None = None,
    ) -> CausalLMOutput:
        """Compress the N segments of all samples and decode the samples (S, L).

        input_ids hold -200 where a memory token goes; pixel_rows (P, C), grid_thw (N, 3) and
        compressor_ids, compressor_mask (N, L) are the segments in order, None for text alone.
        labels (S, L) are -100 outside the answer, so the loss (Eq. 1) is on answer tokens only,
        and so are the logits (A, W) then: a row for each answer token, in order. Without labels
        they are (S, L, W). The whole computation is in here, because sharded training wraps
        this call.
        """
        memories_MD = input_ids.new_zeros(0, self.projector.in_features, dtype=self.dtype)
        if pixel_rows is not None and grid_thw is not None:
            vision = self.compressor.encode_vision(pixel_rows, grid_thw)
            memories_NKD, _ = self.compressor(vision, compressor_ids, compressor_mask, grid_thw)
            memories_MD = memories_NKD.flatten(0, 1)
        hidden_SLD = self.decoder.base_model(
            inputs_embeds=self.embed(input_ids, memories_MD),
            attention_mask=mask_if_needed(attention_mask),
            use_cache=False,
        ).last_hidden_state
        head = self.decoder.get_output_embeddings()
        if labels is None:
            return CausalLMOutput(logits=head(hidden_SLD))
        # the head reads what the loss asks for: a long row has few answer tokens
        wanted_SL = labels[:, 1:] != IGNORE
        logits_AW = head(hidden_SLD[:, :-1][wanted_SL])
        loss = cross_entropy(logits_AW.float(), labels[:, 1:][wanted_SL])
        return CausalLMOutput(loss=loss, logits=logits_AW)

    def embed(self, input_ids: torch.Tensor, memories_MD: torch.Tensor) -> torch.Tensor:
        """Decoder embeddings (S, L, D) with projected memories in the slots."""
        slots_SL = input_ids == MEMORY_PLACEHOLDER
        if int(slots_SL.sum()) != len(memories_MD):
            raise ValueError(
                f"{int(slots_SL.sum())} memory slots in the text but {len(memories_MD)} memories"
            )
        words_SLD = self.decoder.get_input_embeddings()(input_ids.clamp(min=0))
        projected = self.projector(memories_MD).to(words_SLD.dtype)
        return words_SLD.masked_scatter(slots_SL.unsqueeze(-1).expand_as(words_SLD), projected)

    # -- inference -------------------------------------------------------------------------

    def open(self, video: Video, keep_prefix: bool = True) -> VideoSession:
        """A session on one video: encoded once, asked many times."""
        return VideoSession(self, video, keep_prefix=keep_prefix)

    def compress(self, video: Video, question: str, prompt: str = "routing") -> SegmentMemories:
        """Memories and scores of every segment for one question (one causal pass)."""
        return self.open(video, keep_prefix=False).compress(question, prompt)

    def answer(self, video: Video | None, question: str, **options: Any) -> Answer:
        """Answer one question; options as in ``decode``. ``video=None`` asks without a video."""
        if video is None:
            return self.decode(None, question, **options)
        return self.open(video, keep_prefix=False).ask(question, **options)

    @torch.no_grad()
    def decode(
        self,
        memories: SegmentMemories | None,
        question: str,
        budget: int | None = None,
        k_min: int | None = None,
        k_max: int | None = None,
        max_new_tokens: int | None = None,
        adaptive: bool = True,
        scheme: str = "head",
        counts: torch.Tensor | None = None,
        is_image: bool = False,
    ) -> Answer:
        """Allocate, reduce and generate greedily from one compression.

        adaptive=False: every segment keeps k_max. ``counts`` (N,) replaces the allocation.
        ValueError when the prompt exceeds the decoder's context.
        """
        budget = self.config.budget if budget is None else budget
        k_min = self.config.k_min if k_min is None else k_min
        k_max = self.config.k_max if k_max is None else k_max
        if memories is None:
            none = torch.zeros(0)
            memories = SegmentMemories(none.reshape(0, 0, self.projector.in_features), *[none] * 3)
        if counts is None:
            counts = self._counts(memories, budget, k_min, k_max, adaptive)
        kept = reduce_memories(memories.memories, counts, scheme=scheme) if len(counts) else []
        turn = Turn(memories.seconds.tolist(), [len(k) for k in kept], question, is_image=is_image)
        token_ids = self._generate(kept, turn, max_new_tokens)
        text = self.encoder.tokenizer.decode(token_ids, skip_special_tokens=True).strip()
        return Answer(text, token_ids, counts, memories.scores, memories.seconds, budget)

    def _counts(
        self, memories: SegmentMemories, budget: int, k_min: int, k_max: int, adaptive: bool
    ) -> torch.Tensor:
        if not len(memories.scores):
            return torch.zeros(0, dtype=torch.int64)
        if not adaptive:
            return torch.full((len(memories.scores),), k_max, dtype=torch.int64)
        return allocate(memories.scores, budget=budget, k_min=k_min, k_max=k_max)

    def prompt_embeds(self, kept: list[torch.Tensor], turn: Turn, new: int) -> torch.Tensor:
        """Decoder embeddings (1, L, D) of one prompt. ValueError when L + ``new`` is too long."""
        ids = decoder_ids(self.encoder, self.config.decoder_system_prompt, turn)
        if len(ids) + new > self.config.max_context:
            raise ValueError(
                f"prompt of {len(ids)} tokens plus {new} new ones exceeds the decoder's context "
                f"of {self.config.max_context}; lower the budget or max_new_tokens"
            )
        width = self.projector.in_features
        memories_MD = torch.cat(kept) if kept else torch.zeros(0, width)
        return self.embed(
            torch.tensor([ids], device=self.device),
            memories_MD.to(self.device, self.projector.weight.dtype),
        )

    def _generate(
        self, kept: list[torch.Tensor], turn: Turn, max_new_tokens: int | None
    ) -> list[int]:
        new = self.config.max_new_tokens if max_new_tokens is None else max_new_tokens
        embeds = self.prompt_embeds(kept, turn, new)
        end = self.encoder.special(prompts.IM_END)
        return self.decoder.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=self.device),
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=self.encoder.special(prompts.END_OF_TEXT),
        )[0].tolist()

    # -- files -----------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: str | PathLike[str],
        *args: Any,
        base_compressor: str | PathLike[str] | None = None,
        dtype: Any = "auto",
        device: str = "auto",
        release_numerics: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load weights, config and tokenizer; put them on a GPU where there is one.

        Reads folders of ``save_pretrained`` and the released layout, whose base compressor
        is ``base_compressor``, a folder beside the checkpoint, or the hub id it names.
        CheckpointError, before anything is half loaded, when something is missing or odd.

        ``dtype="auto"``: as stored on a GPU, float32 on a CPU. Rotary frequencies are float32 at
        every dtype, also after ``.to``; ``release_numerics=True`` casts them as the release does.
        """
        device, dtype = placement(device, dtype)
        folder, released = open_checkpoint(path_or_hub_id, base_compressor)
        tokenizer = load_tokenizer(folder)
        source: Any = folder
        if released is not None:
            config, state = released
            source, kwargs = None, {**kwargs, "config": config, "state_dict": state}
            dtype = torch.bfloat16 if dtype == "auto" else dtype  # as released
        model, report = super().from_pretrained(
            source,
            *args,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_complete names them all, in one error
            **kwargs,
        )
        check_complete(path_or_hub_id, report)
        model.attach_tokenizer(tokenizer)
        set_release_numerics(model, release_numerics)
        return model.to(device).eval()

    def save_pretrained(self, save_directory: str | PathLike[str], **kwargs: Any) -> None:
        """Write safetensors, config and, where one is attached, the tokenizer."""
        super().save_pretrained(save_directory, **kwargs)
        if self.text is not None:
            self.text.tokenizer.save_pretrained(save_directory)


AutoModel.register(TempoConfig, Tempo)
