"""Each intervention changes one thing, and leaves nothing behind."""

import pandas as pd
import pytest
import torch

from tempo_lib.analysis.interventions import (
    INTERVENTIONS,
    applied,
    both_ways_mask,
    drawn_order,
    get_interventions,
    intervention,
    keep_slots,
    no_change,
    prepared,
)
from tempo_lib.config import load_preset
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.decoder_prompt import IGNORE, MEMORY_PLACEHOLDER
from tempo_lib.provenance import manifest_path
from tempo_lib.video.clip import Video
from tests.training_samples import collator, world_samples

QUESTION = "Which number is shown with the red star?"
HOOKED = ("bidirectional", "reversed", "shuffled-positions")


@pytest.fixture(scope="module")
def video():
    import numpy as np

    return Video(render(make_story(np.random.default_rng(3), 20), seed=3), fps=2.0)


@pytest.fixture
def batch(fresh_tiny_tempo, tmp_path):
    numbers = load_preset("tiny").training.stages[1]
    samples = world_samples(tmp_path, 1)
    return collator(fresh_tiny_tempo, tmp_path, numbers)(samples)


def memories(model, video, keep_prefix):
    return model.open(video, keep_prefix=keep_prefix).compress(QUESTION)


def spy(model, name):
    """What the language model is called with, the memory call last."""
    seen = []
    language = model.compressor.vlm.language_model
    handle = language.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs[name]), with_kwargs=True
    )
    return seen, handle


def test_an_unknown_intervention_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="known: baseline, bidirectional"):
        get_interventions("both-ways")


def test_kept_measurements_have_known_names_and_only_the_baseline_changes_nothing():
    names = INTERVENTIONS.names()
    assert set(pd.read_csv(manifest_path("measurements/conditions.csv"))["condition"]) <= set(names)
    for name in names:
        (one,) = get_interventions(name)
        changes = [one.change is not no_change, one.tasks != "all", bool(one.frozen)]
        assert sum(changes) == (name != "baseline"), name


def test_names_are_combined_with_a_plus(make_tiny_tempo, video):
    model = prepared(make_tiny_tempo(), "reversed+k4", seed=2)
    before = memories(model, video, True).memories
    assert before.shape[1] == 4
    with applied(model, "reversed+k4"):
        assert torch.equal(memories(model, video, True).memories, before.flip(1))


def test_one_more_intervention_is_one_function(tiny_tempo, video, monkeypatch):
    monkeypatch.setattr(INTERVENTIONS, "_found", dict(INTERVENTIONS._found))

    @intervention("zeros", "size", "memories are zero")
    def zeros(model, seed):
        def blank(_, __, output):
            return torch.zeros_like(output[0]), output[1]

        return [model.compressor.register_forward_hook(blank)]

    with applied(tiny_tempo, "zeros"):
        assert not memories(tiny_tempo, video, False).memories.any()
    assert memories(tiny_tempo, video, False).memories.any()


@pytest.mark.parametrize("name", HOOKED)
def test_both_ways_of_compressing_agree_under_an_intervention(tiny_tempo, video, name):
    before = memories(tiny_tempo, video, keep_prefix=True)
    with applied(tiny_tempo, name, seed=1):
        split = memories(tiny_tempo, video, keep_prefix=True)
        whole = memories(tiny_tempo, video, keep_prefix=False)
    torch.testing.assert_close(split.memories, whole.memories, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(split.logits, whole.logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(split.memories, before.memories, atol=1e-2)


@pytest.mark.parametrize("keep_prefix", [True, False])
@pytest.mark.parametrize("name", INTERVENTIONS.names())
def test_leaving_an_intervention_restores_every_bit(tiny_tempo, video, name, keep_prefix):
    before = memories(tiny_tempo, video, keep_prefix)
    with applied(tiny_tempo, name):
        memories(tiny_tempo, video, keep_prefix)
    after = memories(tiny_tempo, video, keep_prefix)
    assert torch.equal(before.memories, after.memories)
    assert torch.equal(before.logits, after.logits)


def test_an_intervention_leaves_even_where_its_context_fails(tiny_tempo, video):
    before = memories(tiny_tempo, video, True)
    with pytest.raises(KeyError), applied(tiny_tempo, "reversed"):
        raise KeyError("inside")
    assert torch.equal(before.memories, memories(tiny_tempo, video, True).memories)


@pytest.mark.parametrize("name", HOOKED)
def test_scores_come_before_the_memories_and_stay(tiny_tempo, video, name):
    before = memories(tiny_tempo, video, True)
    with applied(tiny_tempo, name):
        under = memories(tiny_tempo, video, True)
    torch.testing.assert_close(under.logits, before.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "is_seen"), [("baseline", False), ("bidirectional", True)])
def test_the_first_memory_sees_the_last_one_only_both_ways(make_tiny_tempo, video, name, is_seen):
    model = make_tiny_tempo()
    with applied(model, name):
        before = memories(model, video, True).memories
        model.compressor.memory_tokens.data[:, -1] += 1.0
        after = memories(model, video, True).memories
    assert (not torch.equal(before[:, 0], after[:, 0])) == is_seen
    assert not torch.equal(before[:, -1], after[:, -1])


def test_the_mask_is_causal_but_for_the_memories():
    mask_NL = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 1]])  # one padded token before memories
    seen = both_ways_mask(mask_NL, 3, 2, torch.float32)[:, 0] == 0
    assert seen[0].int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert seen[1].int().tolist() == [[1, 0, 1, 0, 0], [1, 0, 1, 1, 1], [1, 0, 1, 1, 1]]


def test_reversing_twice_is_no_change(tiny_tempo, video):
    before = memories(tiny_tempo, video, True).memories
    with applied(tiny_tempo, "reversed"):
        assert torch.equal(memories(tiny_tempo, video, True).memories, before.flip(1))
        with applied(tiny_tempo, "reversed"):
            assert torch.equal(memories(tiny_tempo, video, True).memories, before)


def test_positions_are_dealt_out_anew_and_none_is_lost(tiny_tempo, video):
    capacity = tiny_tempo.config.num_memory_tokens
    with applied(tiny_tempo, "shuffled-positions", seed=5):
        seen, handle = spy(tiny_tempo, "position_ids")
        memories(tiny_tempo, video, keep_prefix=False)
        handle.remove()
    last = seen[-1][0, 0, -capacity:]
    first = int(last.min())
    assert (last - first).tolist() == drawn_order(capacity, 5).tolist()
    assert sorted(last.tolist()) == list(range(first, first + capacity))
    assert first == int(seen[-1][0, 0, :-capacity].max()) + 1
    assert drawn_order(capacity, 5).tolist() != drawn_order(capacity, 6).tolist()


def test_a_prepared_model_has_as_many_memories_as_named(make_tiny_tempo, video, tmp_path):
    model = prepared(make_tiny_tempo(), "k4", seed=2)
    assert memories(model, video, True).memories.shape[1] == 4
    assert len(model.compressor.memory_tokens[0].unique(dim=0)) == 4
    model.save_pretrained(tmp_path)
    assert type(model).from_pretrained(tmp_path).compressor.num_memory_tokens == 4


def test_equal_memories_start_as_one_vector_and_still_end_apart(fresh_tiny_tempo, video):
    model = prepared(fresh_tiny_tempo, "equal-init", seed=2)
    assert len(model.compressor.memory_tokens[0].unique(dim=0)) == 1
    made = memories(model, video, True).memories[0]
    assert not torch.allclose(made[0], made[-1], atol=1e-3)  # their positions differ


def test_slots_left_out_leave_no_gap():
    slot = MEMORY_PLACEHOLDER
    batch = {
        "input_ids": torch.tensor([[7, slot, slot, 8, 9], [7, slot, slot, 9, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]),
        "labels": torch.tensor([[IGNORE] * 4 + [9], [IGNORE] * 3 + [9, IGNORE]]),
        "pixel_rows": torch.ones(1),
    }
    cut = keep_slots(batch, torch.tensor([True, False, False, False]))
    assert cut["input_ids"].tolist() == [[7, slot, 8, 9], [7, 9, 0, 0]]
    assert cut["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert cut["labels"].tolist() == [[IGNORE, IGNORE, IGNORE, 9], [IGNORE, 9, IGNORE, IGNORE]]
    assert cut["pixel_rows"] is batch["pixel_rows"]
    with pytest.raises(ValueError, match="4 memory slots but 3"):
        keep_slots(batch, torch.ones(3, dtype=torch.bool))


def test_heads_are_cut_while_training_alone(fresh_tiny_tempo, batch):
    model, lengths = fresh_tiny_tempo, []
    model.projector.register_forward_pre_hook(lambda _, args: lengths.append(len(args[0])))
    plain = model(**batch).loss
    with applied(model, "truncated", seed=1):
        assert torch.equal(model(**batch).loss, plain)
        cut = model.train()(**batch).loss
        cut.backward()
    full, evaluated, trained = lengths
    assert evaluated == full
    segments = batch["grid_thw"].shape[0]
    assert full == segments * model.config.num_memory_tokens
    assert segments <= trained < full
    assert torch.isfinite(cut)
    assert model.compressor.memory_tokens.grad.abs().sum() > 0


def test_flash_attention_cannot_look_both_ways(fresh_tiny_tempo):
    language = fresh_tiny_tempo.compressor.vlm.language_model
    language.config._attn_implementation = "flash_attention_2"
    with (
        pytest.raises(ValueError, match="takes no mask"),
        applied(fresh_tiny_tempo, "bidirectional"),
    ):
        pass
