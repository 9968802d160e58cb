"""Tempo: compressor, projector, decoder.

Training runs ``forward``: every segment keeps all its memory tokens. Inference runs
``compress -> allocate -> reduce_memories -> generate`` and each arrow is a short function.

Shape suffixes: S samples, N segments of all samples together, K memory tokens per segment,
M = N * K, L decoder tokens, A answer tokens, D width, V vocabulary.
"""

from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutput

from tempo_lib import prompts
from tempo_lib.allocation.ata import allocate
from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.checkpoints.loading import PathOrId, check_complete, load_tokenizer
from tempo_lib.checkpoints.released import open_checkpoint
from tempo_lib.model.attention import mask_if_needed, resolve_attention
from tempo_lib.model.compressor import Compressor, Cut, SegmentMemories
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER, Answer, Turn, prompt_ids
from tempo_lib.model.numerics import FiniteLogits
from tempo_lib.model.processing import PatchShape, TextEncoder, segment_pixels
from tempo_lib.model.rope import pinned_frequencies, placement, set_release_numerics
from tempo_lib.model.session import VideoSession
from tempo_lib.video.clip import AnyVideo, Video

WHOLE_BLOCKS = ["Qwen3VLTextDecoderLayer", "Qwen3VLVisionBlock", "Qwen3DecoderLayer"]


class Tempo(PreTrainedModel):
    """The whole model; ``from_pretrained`` also brings its tokenizer.

    One question, with the shapes at each arrow (training skips allocation: k_i = K)::

        Video: frames (T, H, W, 3), seconds (T,)
          | segment_pixels: windows of 8 frames
        SegmentPixels: rows (P, C), grid (N, 3)
          | vision tower
        VisionFeatures: N x (V_i, D_c)
          | prefix: system prompt + video, once per video
        Prefix: keys and values of N rows
          | suffix: question + K memory tokens, once per question
        SegmentMemories: H (N, K, D_c), relevance scores s (N,), seconds (N,)
          | allocate(s, budget)
        token allocation k (N,), sum(k) <= budget
          | reduce_memories(H, k)
        kept memories: N x (k_i, D_c)
          | projector, between timestamps and question
        decoder embeddings (1, L, D_d)
          | decoder: Answer
    """

    config_class = TempoConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = WHOLE_BLOCKS

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
        """The held models initialise themselves; the projector is a plain linear map."""
        if module is self.projector:
            module.weight.data.normal_(0.0, module.in_features**-0.5)
            module.bias.data.zero_()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """``to``, ``half`` and ``cuda`` come through here: rotary frequencies move, uncast."""
        with pinned_frequencies(self, is_pinned=not self.config.release_numerics):
            return super()._apply(fn, recurse)

    def attach_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Set the tokenizer; ``from_pretrained`` does this itself."""
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
        num_targets: int | None = None,
        num_unread: int = 0,
    ) -> CausalLMOutput:
        """Compress the N segments of all samples and decode the samples (S, L).

        input_ids are -200 where a memory token goes; pixel_rows (P, C), grid_thw (N, 3) and
        compressor_ids, compressor_mask (N, L) are the segments in order, None for text alone.
        labels (S, L) are -100 outside the answer, so the loss (Eq. 1) is on answer tokens only,
        and so are the logits (A, V) then: one row per answer token, in order. Without labels
        they are (S, L, V). The loss is their sum over ``num_targets``, those of a whole step, by
        default these. The last ``num_unread`` segments only keep ranks in step: no row reads them.
        The whole computation is in here, because sharded training wraps this call.
        """
        memories_MD = input_ids.new_zeros(0, self.projector.in_features, dtype=self.dtype)
        if pixel_rows is not None and grid_thw is not None:
            rows = (compressor_ids, compressor_mask)
            memories_NKD = self.compressor.memories(pixel_rows, grid_thw, *rows)
            memories_MD = memories_NKD[: len(memories_NKD) - num_unread].flatten(0, 1)
        hidden_SLD = self.decoder.base_model(
            inputs_embeds=self.embed(input_ids, memories_MD),
            attention_mask=mask_if_needed(attention_mask),
            use_cache=False,
        ).last_hidden_state
        head = self.decoder.get_output_embeddings()
        if labels is None:
            return CausalLMOutput(logits=head(hidden_SLD))
        # the head runs on answer tokens alone: a long row has few of them
        is_answer_SL = labels[:, 1:] != IGNORE
        logits_AV = head(hidden_SLD[:, :-1][is_answer_SL])
        targets_A = labels[:, 1:][is_answer_SL]
        total = cross_entropy(logits_AV.float(), targets_A, reduction="sum")
        return CausalLMOutput(loss=total / (num_targets or len(targets_A)), logits=logits_AV)

    def embed(self, input_ids: torch.Tensor, memories_MD: torch.Tensor) -> torch.Tensor:
        """Decoder embeddings (S, L, D) with projected memories in place of the placeholders."""
        is_memory_SL = input_ids == MEMORY_PLACEHOLDER
        if (num_places := int(is_memory_SL.sum())) != len(memories_MD):
            found = f"{num_places} memory placeholders in the text"
            raise ValueError(f"{found} but {len(memories_MD)} memories")
        embeds_SLD = self.decoder.get_input_embeddings()(input_ids.clamp(min=0))
        projected_MD = self.projector(memories_MD).to(embeds_SLD.dtype)
        return embeds_SLD.masked_scatter(
            is_memory_SL.unsqueeze(-1).expand_as(embeds_SLD), projected_MD
        )

    # -- inference -------------------------------------------------------------------------

    def open(
        self, video: AnyVideo, keep_prefix: bool = True, is_sized: bool = False, window: int = 0
    ) -> VideoSession:
        """A session on one video: encoded once, for many questions. A stream is resized as it is
        decoded (``open_video``); ``is_sized``: the frames of a ``Video`` already are, by the rules.
        ``window``: frames of a segment, side by side; 0 takes the model's window and stride.
        """
        numbers, rules = self.config.video_numbers, self.config.pixel_rules
        cut = (window or numbers.window, window or numbers.stride)
        segments = segment_pixels(video, rules, self.patch_shape, *cut, is_sized)
        return VideoSession(
            self.compressor, self.encoder, self.config, segments, self.decode, keep_prefix
        )

    def compress(self, video: Video, question: str, prompt: str = "routing") -> SegmentMemories:
        """Memories and scores of every segment for one question (one causal pass)."""
        return self.open(video, keep_prefix=False).compress(question, prompt)

    def answer(self, video: Video | None, question: str, **options: Any) -> Answer:
        """Answer one question; options as in ``decode``. ``video=None``: text alone."""
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
        generation: dict[str, Any] | None = None,
    ) -> Answer:
        """Allocate, reduce and generate from one compression; greedy unless ``generation`` differs.

        adaptive=False: all keep k_max; ``counts`` (N,): these. ContextError for too long a prompt.
        """
        budget = self.config.budget if budget is None else budget
        k_min = self.config.k_min if k_min is None else k_min
        k_max = self.config.k_max if k_max is None else k_max
        new = self.config.max_new_tokens if max_new_tokens is None else max_new_tokens
        if memories is None:
            memories = SegmentMemories.none(self.projector.in_features)
        if counts is None and adaptive and len(memories.scores):
            counts = allocate(memories.scores, budget=budget, k_min=k_min, k_max=k_max)
        elif counts is None:
            counts = torch.full((len(memories.scores),), k_max, dtype=torch.int64)
        embeds = self.prompt_embeds(Cut(memories, counts, scheme), question, new, is_image)
        ids = self.generate_ids(embeds, new, **(generation or {}))
        text = self.encoder.decode(ids)
        return Answer(text, ids, counts, memories.scores, memories.seconds, budget)

    def generate_ids(self, embeds_1LD: torch.Tensor, num_new: int, **options: Any) -> list[int]:
        """Token ids after one prompt, greedy by default; NotFiniteError for logits that are not."""
        return self.decoder.generate(
            inputs_embeds=embeds_1LD,
            attention_mask=torch.ones(embeds_1LD.shape[:2], dtype=torch.long, device=self.device),
            max_new_tokens=num_new,
            **{"do_sample": False, **options},
            logits_processor=[FiniteLogits(self)],
            eos_token_id=self.encoder.special(prompts.IM_END),
            pad_token_id=self.encoder.special(prompts.END_OF_TEXT),
        )[0].tolist()

    def prompt_embeds(
        self, cut: Cut, question: str, max_new_tokens: int, is_image: bool = False
    ) -> torch.Tensor:
        """Decoder embeddings (1, L, D) of one prompt; ContextError as in ``prompt_ids``."""
        kept = cut.kept()
        seconds, counts = cut.memories.seconds.tolist(), [len(each) for each in kept]
        turn = Turn(seconds, counts, question, is_image=is_image or not cut.timestamps)
        ids = prompt_ids(self.encoder, self.config, turn, max_new_tokens)
        memories_MD = torch.cat(kept) if kept else torch.zeros(0, self.projector.in_features)
        return self.embed(
            torch.tensor([ids], device=self.device),
            memories_MD.to(self.device, self.projector.weight.dtype),
        )

    # -- files -----------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: PathOrId,
        *args: Any,
        base_compressor: PathOrId | None = None,
        dtype: Any = "auto",
        device: str = "auto",
        release_numerics: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load weights, config and tokenizer; put them on a GPU where there is one.

        Reads folders of ``save_pretrained`` and the released layout, whose base compressor
        is ``base_compressor``, a folder beside the checkpoint, or the hub id it names.
        CheckpointError, before anything is half loaded, when something is missing or unexpected.

        ``dtype="auto"``: as stored on a GPU, float32 on a CPU. Rotary frequencies are float32 at
        every dtype, also after ``.to``; ``release_numerics=True`` casts them as the release does.
        """
        device, dtype = placement(device, dtype)
        found = open_checkpoint(path_or_hub_id, base_compressor)
        if found.state is not None:
            kwargs |= {"config": found.config, "state_dict": found.state}
            dtype = torch.bfloat16 if dtype == "auto" else dtype  # as released
        tokenizer = load_tokenizer(found.folder)
        model, report = super().from_pretrained(
            found.folder if found.state is None else None,
            *args,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_complete names them all, in one error
            **kwargs,
        )
        check_complete(path_or_hub_id, report)
        model.attach_tokenizer(tokenizer)
        model.name_or_path = str(path_or_hub_id)  # transformers knows none of a released layout
        set_release_numerics(model, release_numerics)
        return model.to(device).eval()

    def save_pretrained(self, save_directory: PathOrId, **kwargs: Any) -> None:
        """Write safetensors, config and, where one is attached, the tokenizer."""
        super().save_pretrained(save_directory, **kwargs)
        if self.text is not None:
            self.text.tokenizer.save_pretrained(save_directory)


AutoModel.register(TempoConfig, Tempo)
