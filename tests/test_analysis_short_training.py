"""What short trainings start from and read, and how finished ones are compared."""

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from tempo_lib import Tempo
from tempo_lib.analysis.short_training import (
    HEADS_LEAD,
    LARGER,
    NO_CHANGE,
    SMALLER,
    TOO_LITTLE,
    attention_verdict,
    compare_with_baseline,
    fresh_model,
    interval_over_seeds,
)
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import load_preset
from tempo_lib.miniature.lessons import (
    is_caption,
    lesson_corpus,
)


@pytest.fixture(autouse=True)
def forget_accelerator():
    """accelerate keeps one state a process, whose precision the next test may not change."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditions")
    return lesson_corpus(load_preset("tiny"), folder, share=0.004, num_clips=4)


@pytest.fixture(scope="module")
def trained():
    """Reads short clips well, so that some answers are right and some are not."""
    return Tempo.from_pretrained(find_checkpoint("tiny", "stage1"), dtype=torch.float32)


def test_held_out_clips_have_every_question_that_a_scene_allows(data, trained):
    held_out = data.held_out(trained)
    kinds = pd.Series([named["kind"] for named in held_out.named]).value_counts()
    assert set(kinds.index) == {"needle", "attribute", "caption", "description"}
    assert kinds["caption"] == 4
    trained_on = {s.media for stage in (0, 1) for s in data.samples(stage) if s.media}
    assert not trained_on & {s.media for s in held_out.samples}


def test_tasks_part_the_samples_with_pictures_and_leave_texts(data):
    every = {s.id for s in data.samples(1)}
    parts = {tasks: data.samples(1, tasks) for tasks in ("captions", "questions")}
    assert all(is_caption(s.question) for s in parts["captions"] if s.media)
    assert not any(is_caption(s.question) for s in parts["questions"] if s.media)
    ids = {tasks: {s.id for s in part} for tasks, part in parts.items()}
    assert ids["captions"] | ids["questions"] == every
    texts = {s.id for s in data.samples(1) if s.media is None}
    assert texts
    assert ids["captions"] & ids["questions"] == texts
    assert data.samples(0, "questions") == data.samples(0)  # captions are all there is


def test_a_preset_without_a_miniature_has_no_data(tmp_path):
    with pytest.raises(ValueError, match="6b is no miniature"):
        lesson_corpus(load_preset("6b"), tmp_path)


def test_a_fresh_model_has_its_seeds_memory_tokens_and_leaves_the_vision_tower_alone():
    one, same, other = (fresh_model(load_preset("tiny"), 4, seed) for seed in (1, 1, 2))
    assert one.compressor.memory_tokens.shape[1] == 4
    assert torch.equal(one.compressor.memory_tokens, same.compressor.memory_tokens)
    assert not torch.equal(one.compressor.memory_tokens, other.compressor.memory_tokens)
    frozen = [name for name, one_of in one.named_parameters() if not one_of.requires_grad]
    assert frozen and all(".visual." in name for name in frozen)


def row(condition, seed, index=0.4, change=np.nan, p=np.nan, whole=0.9, step=8):
    facts = {"condition": condition, "seed": seed, "step": step, "kind": "all", "n": 40}
    facts |= {"head": 0.6, "tail": 0.3, "index": index, "low": index - 0.1, "high": index + 0.1}
    facts |= {"whole": whole, "lead": 0.3, "change": change, "change_p": p}
    return {**facts, "change_low": change - 0.05, "change_high": change + 0.05}


def measured(*rows, baseline=0.4):
    first = [row("baseline", seed, baseline) for seed in (0, 1)]
    early = [row("baseline", seed, 0.0, step=0) for seed in (0, 1)]
    kinds = [{**first[0], "kind": "needle", "index": 0.9}]
    return pd.DataFrame([*early, *first, *kinds, *rows])


def both(condition, changes, p, **facts):
    return [row(condition, s, change=c, p=p, **facts) for s, c in enumerate(changes)]


@pytest.mark.parametrize(
    ("changes", "p", "whole", "expected"),
    [
        ((-0.2, -0.1), 1e-4, 0.9, SMALLER),
        ((0.2, 0.1), 1e-4, 0.9, LARGER),
        ((0.2, -0.1), 1e-4, 0.9, NO_CHANGE),  # the seeds contradict each other
        ((-0.2, -0.1), 0.03, 0.9, NO_CHANGE),  # two tests: 0.03 counts twice
        ((-0.2, -0.1), 1e-4, 0.3, TOO_LITTLE),
    ],
)
def test_an_effect_is_what_every_seed_shows(changes, p, whole, expected):
    table = compare_with_baseline(measured(*both("bidirectional", changes, p, whole=whole)))
    found = table.set_index("condition")
    assert found.loc["bidirectional", "effect"] == expected
    assert found.loc["bidirectional", "change"] == pytest.approx(sum(changes) / 2)
    assert found.loc["baseline", "index"] == pytest.approx(0.4)  # last step, all kinds
    assert found.loc["baseline", "end"] == HEADS_LEAD


def test_what_a_seed_learned_is_held_against_its_own_baseline():
    frame = measured(row("truncated", 0, change=-0.2, p=1e-4, whole=0.4))
    frame.loc[(frame["condition"] == "baseline") & (frame["seed"] == 1), "whole"] = 0.1
    found = compare_with_baseline(frame).set_index("condition")
    assert found.loc["truncated", "effect"] == TOO_LITTLE


@pytest.mark.parametrize(
    ("rows", "baseline", "expected"),
    [
        (both("bidirectional", (-0.2, -0.1), 1e-4, index=0.0), 0.4, "in line with"),
        (both("bidirectional", (0.0, 0.01), 0.9), 0.4, "against"),
        (both("bidirectional", (-0.1, -0.1), 0.2, index=0.05), 0.4, "undecided about"),
        (both("bidirectional", (0.0, 0.01), 0.9, whole=0.1), 0.4, "undecided about"),
        (both("bidirectional", (-0.2, -0.1), 1e-4), 0.0, "undecided about"),
        (both("reversed", (-0.2, -0.1), 1e-4), 0.4, "undecided about"),
    ],
)
def test_the_papers_explanation_is_judged_by_what_happens_without_it(rows, baseline, expected):
    table = compare_with_baseline(measured(*rows, baseline=baseline))
    assert attention_verdict(table) == expected


def test_an_interval_over_two_seeds_is_wide_and_over_one_unknown():
    low, high = interval_over_seeds([0.1, 0.3])
    assert (low, high) == pytest.approx((0.2 - 12.706 * 0.1, 0.2 + 12.706 * 0.1), abs=1e-3)
    assert all(np.isnan(interval_over_seeds([0.1])))


def test_without_a_baseline_there_is_nothing_to_compare():
    with pytest.raises(ValueError, match="no baseline"):
        compare_with_baseline(pd.DataFrame(both("k4", (0.1, 0.1), 0.1)))
    with pytest.raises(ValueError, match="unknown intervention 'k5'"):
        compare_with_baseline(measured(row("k5", 0)))
