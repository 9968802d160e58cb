"""What makes a training step fast changes no number: attention, masks, the answers' logits."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers.models.qwen3.modeling_qwen3 import eager_attention_forward

from tempo_lib.config import load_preset
from tempo_lib.model.attention import (
    CPU_TRAINING,
    VISION_BATCHED,
    float32_backward,
    mask_if_needed,
)
from tempo_lib.model.decoder_prompt import IGNORE
from tempo_lib.training.stages import set_trainable
from tests.training_samples import collator, world_samples

NUMBERS = load_preset("tiny").training.stages


def use_attention(model, name):
    model.set_attn_implementation(name)
    model.compressor.vlm.visual.config._attn_implementation = VISION_BATCHED
    return model


@pytest.fixture
def batch(fresh_tiny_tempo, tmp_path):
    """Rows of several lengths, of words alone and of segments."""
    made = collator(fresh_tiny_tempo, tmp_path, NUMBERS[2])(world_samples(tmp_path, 2))
    assert (made["attention_mask"] == 0).any()
    assert (made["compressor_mask"] == 0).any()
    return made


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    return loss.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("stage", [1, 3])
def test_fused_attention_learns_what_eager_attention_learns(fresh_tiny_tempo, batch, stage):
    set_trainable(fresh_tiny_tempo, NUMBERS[stage])
    wanted, eager = loss_and_gradients(use_attention(fresh_tiny_tempo, "eager"), batch)
    found, fused = loss_and_gradients(use_attention(fresh_tiny_tempo, CPU_TRAINING), batch)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert len(fused) == len(eager) > 0
    for one, other in zip(fused, eager, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_under_bfloat16_fused_attention_is_nearer_to_float32(seed):
    """The eager one rounds its weights to bfloat16, this one does not."""
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 2, 4, 24, 32)  # query, key and value; batch, heads, length, channels
    given = torch.randn(shape, generator=generator).bfloat16()
    module = torch.nn.Module()
    module.is_causal, module.num_key_value_groups = True, 1
    causal = torch.full((24, 24), float("-inf")).triu(1)[None, None]

    def gradient(function, dtype, mask):
        rows = given.to(dtype).requires_grad_()
        out, _ = function(module, *rows, mask, scaling=32**-0.5, dropout=0.0)
        out.float().square().sum().backward()
        return rows.grad.float()

    exact = gradient(eager_attention_forward, torch.float32, causal)
    ours = gradient(float32_backward, torch.bfloat16, None)
    eager = gradient(eager_attention_forward, torch.bfloat16, causal.bfloat16())
    assert 0 < (ours - exact).norm() < (eager - exact).norm()


def test_without_a_gradient_it_is_the_attention_of_inference(fresh_tiny_tempo, batch):
    with torch.no_grad():
        found = use_attention(fresh_tiny_tempo, CPU_TRAINING)(**batch).logits
        assert torch.equal(found, use_attention(fresh_tiny_tempo, "sdpa")(**batch).logits)


def test_padding_on_the_right_needs_no_mask():
    right, left = torch.tensor([[1, 1, 1], [1, 1, 0]]), torch.tensor([[1, 1, 1], [0, 1, 1]])
    assert mask_if_needed(right) is None
    assert mask_if_needed(left) is left


def test_a_padded_batch_trains_as_its_rows_do_alone(fresh_tiny_tempo):
    ids = torch.randint(1, 100, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    labels = ids.masked_fill(mask == 0, IGNORE)
    rows = [ids[:1], ids[1:, :8]]
    logits = [fresh_tiny_tempo(row, torch.ones_like(row)).logits[0, :-1] for row in rows]
    expected = cross_entropy(torch.cat(logits), torch.cat([row[0, 1:] for row in rows]))
    torch.testing.assert_close(fresh_tiny_tempo(ids, mask, labels=labels).loss, expected)
