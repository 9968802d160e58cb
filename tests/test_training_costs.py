import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tempo_lib import Tempo, TempoConfig
from tempo_lib.config import load_preset
from tempo_lib.training.costs import (
    Segments,
    forward_work,
    parameter_counts,
    training_operations,
)
from tempo_lib.training.stages import checkpoint_activations, parts, set_trainable
from tests.training_samples import collator, world_samples


@pytest.fixture
def eager(fresh_tiny_tempo):
    """Attention as plain products, which the counter sees on every machine."""
    for one in (fresh_tiny_tempo.compressor.vlm, fresh_tiny_tempo.decoder):
        one.set_attn_implementation("eager")
    return fresh_tiny_tempo


@pytest.fixture(scope="module")
def tiny(tiny_tempo):
    """The preset with the vocabulary of its tokenizer, which its file leaves open."""
    preset, size = load_preset("tiny"), {"vocab_size": tiny_tempo.config.decoder_config.vocab_size}
    text = preset.model.compressor.text_config.model_copy(update=size)
    compressor = preset.model.compressor.model_copy(update={"text_config": text})
    decoder = preset.model.decoder.model_copy(update=size)
    changed = {"compressor": compressor, "decoder": decoder}
    return preset.model_copy(update={"model": preset.model.model_copy(update=changed)})


def sizes(model):
    return {name: sum(p.numel() for p in weights) for name, weights in parts(model).items()}


def test_weights_of_6b_are_those_of_the_model_on_the_meta_device():
    with torch.device("meta"):
        model = Tempo(TempoConfig())
    assert parameter_counts(load_preset("6b")) == sizes(model)
    assert sum(sizes(model).values()) == 6_155_507_712  # of the released checkpoint


def test_weights_of_the_miniature_are_those_of_its_model(tiny, tiny_tempo):
    assert parameter_counts(tiny) == sizes(tiny_tempo)
    with pytest.raises(ValueError, match="leaves vocab_size to a tokenizer"):
        parameter_counts(load_preset("tiny"))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_operations_of_a_step_are_what_torch_counts(eager, tiny, tmp_path, stage, checkpointing):
    numbers = tiny.training.stages[stage]
    numbers = numbers.model_copy(update={"activation_checkpointing": checkpointing})
    sample = world_samples(tmp_path, stage)[min(stage, 1)]  # an image, else a clip
    batch = collator(eager, tmp_path, numbers)([sample])
    slices, height, width = batch["grid_thw"][0].tolist()
    rows = batch["compressor_ids"].shape
    segments = Segments(rows[0], slices, height * width, rows[1])
    targets = int((batch["labels"] >= 0).sum())
    work = forward_work(tiny, segments, batch["input_ids"].shape[1], targets)
    set_trainable(eager, numbers)
    eager.train()
    checkpoint_activations(eager, numbers)
    with FlopCounterMode(display=False) as counter:
        loss = eager(**batch).loss
        forward = counter.get_total_flops()
        loss.backward()
    assert forward == sum(one.forward for one in work.values())
    expected = training_operations(work, numbers.trainable, checkpointing)
    assert counter.get_total_flops() == expected
