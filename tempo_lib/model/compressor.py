"""The local compressor: Qwen3-VL, held as it is, plus memory tokens and a relevance score.

One sequence per segment (paper section 3.2): system prompt, video, query, memory tokens last.
System prompt and video come before the query under causal attention, so their keys and values
(the *prefix*) serve every question about a video; only the *suffix* (query, memory) is new.

Shape suffixes: N segments, L tokens, K memory tokens, D width, P patches, V visual tokens.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import pad
from transformers import AutoModel, Cache, DynamicCache, Qwen3VLConfig, Qwen3VLModel

from tempo_lib.allocation.reduction import reduce_memories
from tempo_lib.model.attention import resolve_attention, vision_attention


@dataclass(frozen=True)
class VisionFeatures:
    """What the vision tower computes for N segments, cut by segment.

    features: N tensors (V_i, D); deepstack: per tapped layer one list of N tensors (V_i, D).
    """

    features: list[torch.Tensor]
    deepstack: list[list[torch.Tensor]]

    def part(self, start: int, stop: int) -> "VisionFeatures":
        return VisionFeatures(
            self.features[start:stop], [level[start:stop] for level in self.deepstack]
        )


@dataclass(frozen=True)
class Prefix:
    """Keys and values of system prompt and video of N segments, ready for any query.

    cache: one DynamicCache of N rows; mask_NL: 1 where a token is real; next_position_N: the
    first position after each row's video.
    """

    cache: Cache
    mask_NL: torch.Tensor
    next_position_N: torch.Tensor


@dataclass(frozen=True)
class SegmentMemories:
    """memories (N, K, D), scores (N,) float32 in (0, 1), seconds (N,) of each segment's centre.

    logits (N,) are the scores before the sigmoid.
    """

    memories: torch.Tensor
    scores: torch.Tensor
    seconds: torch.Tensor
    logits: torch.Tensor

    @classmethod
    def none(cls, width: int) -> "SegmentMemories":
        """Those of no video: N = 0."""
        empty = torch.zeros(0)
        return cls(torch.zeros(0, 0, width), empty, empty, empty)


@dataclass(frozen=True)
class Cut:
    """What the decoder reads: ``counts`` (N,) memories of each segment, chosen by ``scheme``.

    ``timestamps``: whether one stands before each segment's.
    """

    memories: SegmentMemories
    counts: torch.Tensor
    scheme: str = "head"
    timestamps: bool = True

    def kept(self) -> list[torch.Tensor]:
        """N tensors (k_i, D)."""
        if not len(self.counts):
            return []
        return reduce_memories(self.memories.memories, self.counts, scheme=self.scheme)


class Compressor(nn.Module):
    """Qwen3-VL without its head, K memory tokens and the frozen difference of two head rows."""

    relevance_rows: torch.Tensor

    def __init__(
        self, config: Qwen3VLConfig, num_memory_tokens: int, attn_implementation: str = "auto"
    ) -> None:
        super().__init__()
        width = config.text_config.hidden_size
        self.config = config
        self.vlm = AutoModel.from_config(
            config, attn_implementation=resolve_attention(attn_implementation)
        )
        self.vlm.visual.config._attn_implementation = vision_attention(attn_implementation)
        self.memory_tokens = nn.Parameter(torch.zeros(1, num_memory_tokens, width))
        # rows Yes and No of the *base* model's head: training never moves the score's direction
        self.register_buffer("relevance_rows", torch.zeros(2, width))

    @property
    def num_memory_tokens(self) -> int:
        return self.memory_tokens.shape[1]

    @property
    def device(self) -> torch.device:
        return self.memory_tokens.device

    def init_memory_tokens(self, generator: torch.Generator) -> None:
        """Draw memory tokens from the mean and spread of the embedding rows."""
        table = self.vlm.language_model.embed_tokens.weight.detach().float()
        noise = torch.randn(self.memory_tokens.shape, generator=generator)
        self.memory_tokens.data.copy_(table.mean(0) + noise * table.std(0))

    def encode_vision(
        self, pixel_rows_PC: torch.Tensor, grid_thw_N3: torch.Tensor
    ) -> VisionFeatures:
        """Run the vision tower once over all segments."""
        visual = self.vlm.visual
        device, dtype = self.device, visual.patch_embed.proj.weight.dtype
        is_frozen = not any(parameter.requires_grad for parameter in visual.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and not is_frozen):
            rows_PC = pixel_rows_PC.to(device=device, dtype=dtype)
            out = visual(rows_PC, grid_thw=grid_thw_N3.to(device))
        merged = (grid_thw_N3.prod(dim=1) // visual.spatial_merge_unit).tolist()
        return VisionFeatures(
            list(out.pooler_output.split(merged)),
            [list(level.split(merged)) for level in out.deepstack_features],
        )

    def memories(
        self,
        pixel_rows_PC: torch.Tensor,
        grid_thw_N3: torch.Tensor,
        ids_NL: torch.Tensor | None,
        mask_NL: torch.Tensor | None,
    ) -> torch.Tensor:
        """Memories (N, K, D) of a training batch; what is wholly frozen keeps no activations."""
        learns = any(parameter.requires_grad for parameter in self.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
            vision = self.encode_vision(pixel_rows_PC, grid_thw_N3)
            return self(vision, ids_NL, mask_NL, grid_thw_N3)[0]

    def forward(
        self,
        vision: VisionFeatures,
        ids_NL: torch.Tensor,
        mask_NL: torch.Tensor,
        grid_thw_N3: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One causal pass over right-padded prompts (system, video, query), then memory tokens.

        Returns memories (N, K, D) and the hidden state before them, h_rel (N, D).
        """
        count, tokens = len(ids_NL), self.num_memory_tokens
        positions_3NL = mrope_positions(self.vlm, ids_NL, mask_NL, grid_thw_N3)
        embeds_NLD, visual_NL, deepstack = self._embed(ids_NL, vision)
        memory_NKD = self.memory_tokens.to(embeds_NLD.dtype).expand(count, -1, -1)
        # padding lies between a short row's last token and its memory tokens, behind the mask
        steps_K = torch.arange(tokens, device=ids_NL.device)
        steps_NK = next_positions(positions_3NL, mask_NL)[:, None] + steps_K
        hidden_NLD = self.vlm.language_model(
            inputs_embeds=torch.cat([embeds_NLD, memory_NKD], dim=1),
            attention_mask=pad(mask_NL, (0, tokens), value=1),
            position_ids=torch.cat([positions_3NL, steps_NK.expand(3, -1, -1)], dim=2),
            visual_pos_masks=pad(visual_NL, (0, tokens), value=False),
            deepstack_visual_embeds=deepstack,
            use_cache=False,
        ).last_hidden_state
        row_N, last_N = torch.arange(count, device=ids_NL.device), mask_NL.sum(1) - 1
        return hidden_NLD[:, -tokens:], hidden_NLD[row_N, last_N]

    def prefix(
        self, vision: VisionFeatures, prefix_ids: list[list[int]], grid_thw_N3: torch.Tensor
    ) -> Prefix:
        """The query-independent half: system prompt and video."""
        ids_NL, mask_NL = pad_rows(prefix_ids, self.device)
        positions_3NL = mrope_positions(self.vlm, ids_NL, mask_NL, grid_thw_N3)
        embeds_NLD, visual_NL, deepstack = self._embed(ids_NL, vision)
        cache = DynamicCache(config=self.config.text_config)
        self.vlm.language_model(
            inputs_embeds=embeds_NLD,
            attention_mask=mask_NL,
            position_ids=positions_3NL,
            visual_pos_masks=visual_NL,
            deepstack_visual_embeds=deepstack,
            past_key_values=cache,
            use_cache=True,
        )
        return Prefix(cache, mask_NL, next_positions(positions_3NL, mask_NL))

    def suffix(
        self, prefix: Prefix, suffix_ids: list[int], memories_first: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The query's half, on a prefix: the same pair as ``forward``. The prefix stays usable.

        ``memories_first``: memory tokens before the query, where they cannot see it.
        """
        count, length = len(prefix.mask_NL), len(suffix_ids)
        ids_NL = torch.tensor(suffix_ids, device=self.device).expand(count, -1)
        query_NLD = self.vlm.language_model.embed_tokens(ids_NL)
        memory_NKD = self.memory_tokens.expand(count, -1, -1)
        added = length + self.num_memory_tokens
        steps_L = torch.arange(added, device=self.device)
        hidden_NLD = self.vlm.language_model(
            inputs_embeds=torch.cat(
                [memory_NKD, query_NLD] if memories_first else [query_NLD, memory_NKD], dim=1
            ),
            attention_mask=pad(prefix.mask_NL, (0, added), value=1),
            position_ids=(prefix.next_position_N[:, None] + steps_L).expand(3, -1, -1),
            past_key_values=prefix.cache,
            use_cache=True,
        ).last_hidden_state
        # the suffix's keys leave again, so that the next question finds the video alone
        prefix.cache.crop(-added)
        if memories_first:
            return hidden_NLD[:, : self.num_memory_tokens], hidden_NLD[:, -1]
        return hidden_NLD[:, length:], hidden_NLD[:, length - 1]

    def relevance_logits(self, h_rel_ND: torch.Tensor) -> torch.Tensor:
        """(w_yes - w_no)^T h_rel, float32 (N,): Eq. 2 before the sigmoid."""
        yes, no = self.relevance_rows.float()
        with torch.autocast(h_rel_ND.device.type, enabled=False):
            return h_rel_ND.float() @ (yes - no)

    def _embed(
        self, ids_NL: torch.Tensor, vision: VisionFeatures
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Token embeddings with the visual features in their places."""
        visual_NL = (ids_NL == self.config.video_token_id) | (ids_NL == self.config.image_token_id)
        features_VD = torch.cat(vision.features)
        if int(visual_NL.sum()) != len(features_VD):
            raise ValueError(
                f"{int(visual_NL.sum())} visual tokens in the text but {len(features_VD)} features"
            )
        embeds_NLD = self.vlm.language_model.embed_tokens(ids_NL)
        mask_NLD = visual_NL.unsqueeze(-1).expand_as(embeds_NLD)
        embeds_NLD = embeds_NLD.masked_scatter(mask_NLD, features_VD.to(embeds_NLD.dtype))
        return embeds_NLD, visual_NL, [torch.cat(level) for level in vision.deepstack]


def mrope_positions(
    vlm: Qwen3VLModel, ids_NL: torch.Tensor, mask_NL: torch.Tensor, grid_thw_N3: torch.Tensor
) -> torch.Tensor:
    """M-RoPE positions (3, N, L). Rows of one layout share one call: most segments do."""
    kinds_NL = (ids_NL == vlm.config.image_token_id).int()
    kinds_NL += 2 * (ids_NL == vlm.config.video_token_id).int()
    layout = torch.cat([kinds_NL, mask_NL.int(), grid_thw_N3.int()], dim=1)
    unique, row_of_N = torch.unique(layout, dim=0, return_inverse=True)
    tables = []
    for index in range(len(unique)):
        row = int((row_of_N == index).nonzero()[0])
        one = slice(row, row + 1)
        is_image = bool((kinds_NL[row] == 1).any())
        grids = {"image_grid_thw" if is_image else "video_grid_thw": grid_thw_N3[one].clone()}
        table, _ = vlm.get_rope_index(
            ids_NL[one], mm_token_type_ids=kinds_NL[one], attention_mask=mask_NL[one], **grids
        )
        tables.append(table)
    return torch.cat(tables, dim=1)[:, row_of_N]


def next_positions(positions_3NL: torch.Tensor, mask_NL: torch.Tensor) -> torch.Tensor:
    """First free position (N,) after each row's real tokens."""
    return positions_3NL.amax(0).masked_fill(mask_NL == 0, -1).amax(1) + 1


def pad_rows(rows: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-pad id rows with 0 behind a mask: ids (N, L), mask (N, L) of int64."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, (torch.arange(longest, device=device) < lengths[:, None]).long()
