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
    without = load_preset("6b").model_copy(update={"training": None})
    with pytest.raises(ValueError, match="preset 6b has no training configuration"):
        stage_numbers(without, 0)


def test_each_stage_of_6b_trains_the_parts_of_table_a_at_their_rates(fresh_tiny_tempo):
    """The loop reads one schema: the paper's columns on the miniature's shapes."""
    table = {0: ["1e-3"] * 2, 1: ["2e-6"] + ["1e-5"] * 3, 2: ["2e-6"] + ["1e-5"] * 3, 3: ["1e-5"]}
    for stage, rates in table.items():
        numbers = stage_numbers(load_preset("6b"), stage)
        set_trainable(fresh_tiny_tempo, numbers)
        groups = parameter_groups(fresh_tiny_tempo, numbers)
        assert [group["lr"] for group in groups] == [float(rate) for rate in rates]
        wanted = tuple(PREFIXES[part] for part in numbers.trainable)
        for name, parameter in fresh_tiny_tempo.named_parameters():
            assert parameter.requires_grad == name.startswith(wanted)


def test_a_frozen_compressor_keeps_no_activations(fresh_tiny_tempo, tmp_path):
    numbers = stage_numbers(load_preset("tiny"), 3)
    batch = collator(fresh_tiny_tempo, tmp_path, numbers)(world_samples(tmp_path, 3)[:2])
    seen = {}

    def look(name):
        return lambda _, __, output: seen.update({name: output.requires_grad})

    for name in ("compressor.vlm.language_model.norm", "decoder.model.norm"):
        fresh_tiny_tempo.get_submodule(name).register_forward_hook(look(name))
    for stage, kept in ((3, False), (0, True)):
        set_trainable(fresh_tiny_tempo, stage_numbers(load_preset("tiny"), stage))
        fresh_tiny_tempo(**batch)
        assert seen == {"compressor.vlm.language_model.norm": kept, "decoder.model.norm": True}


def test_the_score_axis_stays_the_base_models(fresh_tiny_tempo):
    """Eq. 2 uses the frozen head of the base model: no stage may train it."""
    assert "compressor.relevance_rows" not in dict(fresh_tiny_tempo.named_parameters())
    assert "compressor.relevance_rows" in dict(fresh_tiny_tempo.named_buffers())
