import pytest
import torch

from tempo_lib.config import load_preset
from tempo_lib.training.stages import parameter_groups, set_trainable, stage_numbers
from tests.training_samples import collator, world_samples

PREFIXES = {
    "compressor": "compressor.vlm.",
    "memory_tokens": "compressor.memory_tokens",
    "projector": "projector.",
    "decoder": "decoder.",
}


@pytest.mark.parametrize("stage", load_preset("tiny").stages)
def test_exactly_the_parameters_of_table_a_receive_gradients(fresh_tiny_tempo, stage, tmp_path):
    model = fresh_tiny_tempo
    numbers = stage_numbers(load_preset("tiny"), stage)
    set_trainable(model, numbers)
    samples = world_samples(tmp_path, stage)
    model(**collator(model, tmp_path, numbers)(samples)).loss.backward()
    touched = {name for name, p in model.named_parameters() if p.grad is not None}
    wanted = tuple(PREFIXES[part] for part in numbers.trainable)
    expected = {name for name, _ in model.named_parameters() if name.startswith(wanted)}
    assert touched == expected
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_compressor_learns_at_its_own_rate(fresh_tiny_tempo):
    numbers = stage_numbers(load_preset("tiny"), 1)
    rates = [group["lr"] for group in parameter_groups(fresh_tiny_tempo, numbers)]
    assert rates == [numbers.compressor_learning_rate] + [numbers.learning_rate] * 3


def test_an_unknown_stage_and_a_preset_without_training_are_refused():
    with pytest.raises(ValueError, match="unknown stage 7; known stages: 0, 1, 2, 3"):
        stage_numbers(load_preset("tiny"), 7)
    with pytest.raises(ValueError, match="preset 6b has no training configuration"):
        stage_numbers(load_preset("6b"), 0)


def test_the_score_axis_stays_the_base_models(fresh_tiny_tempo):
    """Eq. 2 uses the frozen head of the base model: no stage may train it."""
    assert "compressor.relevance_rows" not in dict(fresh_tiny_tempo.named_parameters())
    assert "compressor.relevance_rows" in dict(fresh_tiny_tempo.named_buffers())
