"""Parameters and matrix products of a Tempo, from the shapes of its preset alone.

Counts are whole numbers of weights and floating-point operations; a product of (m, k) and (k, n)
is 2 m k n. Attention counts whole score matrices, as torch's flop counter does: kernels that skip
the masked half need less. Norms, rotations and the softmax are left out.
"""

from dataclasses import dataclass
from math import prod

from tempo_lib.config import Preset, TextShape, VisionShape

CHANNELS = 3


@dataclass(frozen=True)
class Segments:
    """Segments of one sample as the compressor reads them.

    ``slices``: frame pairs per segment; ``patches``: of one slice; ``tokens``: prompt, video and
    question of a segment together, memory tokens not among them.
    """

    count: int
    slices: int
    patches: int
    tokens: int


@dataclass(frozen=True)
class Work:
    """Operations of one forward pass of one part.

    ``layers``: products with weights inside layers, ``last`` those of each layer's last product
    among them; ``attention``: scores and their use; ``around``: products outside the layers;
    ``pixels``: those that read pixels, which need no gradient.
    """

    layers: int = 0
    last: int = 0
    attention: int = 0
    around: int = 0
    pixels: int = 0

    @property
    def forward(self) -> int:
        """All of them."""
        return self.layers + self.attention + self.around + self.pixels

    def training(self, learns: bool, passes: bool, checkpointing: bool) -> int:
        """Operations of forward and backward together.

        Backward costs one forward for weights that learn and one for a gradient that passes
        through; attention has no weights and costs two. With ``checkpointing`` a layer with any
        gradient is computed once more, up to the input of its last product.
        """
        gradient = learns or passes
        total = self.forward + learns * (self.layers + self.around + self.pixels)
        total += passes * (self.layers + self.around) + 2 * gradient * self.attention
        return total + (checkpointing and gradient) * (self.layers - self.last + self.attention)


def parameter_counts(preset: Preset) -> dict[str, int]:
    """Weights of the four parts that Table A freezes or trains, under its names."""
    model = preset.model
    text, vision = model.compressor.text_config, model.compressor.vision_config
    width = text.hidden_size
    return {
        "compressor": _text_weights(text) + _vision_weights(vision),
        "memory_tokens": model.num_memory_tokens * width,
        "projector": (width + 1) * model.decoder.hidden_size,
        "decoder": _text_weights(model.decoder),
    }


def forward_work(
    preset: Preset, segments: Segments, decoder_tokens: int, num_targets: int
) -> dict[str, Work]:
    """Work of one sample's forward pass, unpadded: vision, compressor, projector, decoder, head."""
    model = preset.model
    text, decoder = model.compressor.text_config, model.decoder
    memories = segments.count * model.num_memory_tokens
    tokens = segments.tokens + model.num_memory_tokens
    return {
        "vision": _vision_work(model.compressor.vision_config, segments),
        "compressor": _text_work(text, tokens, segments.count),
        "projector": Work(around=2 * memories * text.hidden_size * decoder.hidden_size),
        "decoder": _text_work(decoder, decoder_tokens, 1),
        "head": Work(around=2 * num_targets * decoder.hidden_size * _vocabulary(decoder)),
    }


def training_operations(
    work: dict[str, Work], trainable: tuple[str, ...], checkpointing: bool
) -> int:
    """Operations of one sample's step: every part forward, and backward as far as the stage needs.

    The compressor's embeddings learn with it, so a gradient passes through all its layers.
    """
    compressor, decoder = "compressor" in trainable, "decoder" in trainable
    below = compressor or "memory_tokens" in trainable
    before = below or "projector" in trainable or decoder
    learns = {"vision": compressor, "compressor": compressor, "decoder": decoder, "head": decoder}
    learns["projector"] = "projector" in trainable
    passes = {"vision": compressor, "compressor": below, "projector": below}
    passes |= {"decoder": before, "head": before}
    return sum(
        one.training(learns[name], passes[name], checkpointing) for name, one in work.items()
    )


def layer_weights(shape: TextShape) -> int:
    """Weights of the products of one layer."""
    heads = 2 * shape.num_attention_heads + 2 * shape.num_key_value_heads
    return shape.hidden_size * (heads * shape.head_dim + 3 * shape.intermediate_size)


def _vocabulary(shape: TextShape) -> int:
    if shape.vocab_size is None:
        raise ValueError("the preset leaves vocab_size to a tokenizer; give it one to count")
    return shape.vocab_size


def _text_weights(shape: TextShape) -> int:
    """Embedding, layers with their four norms, the last norm; the head is the embedding."""
    norms = 2 * shape.hidden_size + 2 * shape.head_dim
    embedding = _vocabulary(shape) * shape.hidden_size
    head = 0 if shape.tie_word_embeddings else embedding
    layers = shape.num_hidden_layers * (layer_weights(shape) + norms)
    return embedding + head + layers + shape.hidden_size


def _text_work(shape: TextShape, tokens: int, rows: int) -> Work:
    layers = shape.num_hidden_layers * rows
    return Work(
        layers=layers * 2 * tokens * layer_weights(shape),
        last=layers * 2 * tokens * shape.hidden_size * shape.intermediate_size,
        attention=layers * 4 * tokens**2 * shape.num_attention_heads * shape.head_dim,
    )


def _vision_weights(shape: VisionShape) -> int:
    width, inner = shape.hidden_size, shape.intermediate_size
    block = 4 * width + 4 * width * (width + 1) + 2 * width * inner + inner + width
    wide = width * shape.spatial_merge_size**2
    merger = wide * (wide + 1) + (wide + 1) * shape.out_hidden_size
    taps = len(shape.deepstack_visual_indexes)
    mergers = (1 + taps) * merger + 2 * width + taps * 2 * wide  # and their norms
    patches = (_patch_values(shape) + 1) * width + shape.num_position_embeddings * width
    return patches + shape.depth * block + mergers


def _vision_work(shape: VisionShape, segments: Segments) -> Work:
    """Attention stays within a slice."""
    width, inner = shape.hidden_size, shape.intermediate_size
    rows = segments.count * segments.slices * segments.patches
    wide = width * shape.spatial_merge_size**2
    merged = rows // shape.spatial_merge_size**2
    mergers = 1 + len(shape.deepstack_visual_indexes)
    return Work(
        layers=shape.depth * 2 * rows * (4 * width**2 + 2 * width * inner),
        last=shape.depth * 2 * rows * width * inner,
        attention=shape.depth * 4 * rows * segments.patches * width,
        around=2 * merged * mergers * (wide**2 + wide * shape.out_hidden_size),
        pixels=2 * rows * _patch_values(shape) * width,
    )


def _patch_values(shape: VisionShape) -> int:
    return prod((CHANNELS, shape.temporal_patch_size, shape.patch_size, shape.patch_size))
