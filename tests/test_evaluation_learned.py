"""k_min is learned on the validation world alone, and its number carries its record."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from tempo_lib.config import load_preset
from tempo_lib.evaluation.learned import (
    VALIDATION_SEED,
    choose_k_min,
    k_min_grid,
    learned_k_min,
)


def records(right_of_k, world_seed=VALIDATION_SEED, num_questions=10):
    return pd.concat(
        pd.DataFrame(
            {
                "variant": f"ata-k{k}",
                "suite": "mini-mlvu",
                "world_seed": world_seed,
                "video": [f"v{i}" for i in range(num_questions)],
                "question_id": [f"q{i}" for i in range(num_questions)],
                "correct": [i < right for i in range(num_questions)],
            }
        )
        for k, right in right_of_k.items()
    )


def test_the_most_accurate_k_min_is_chosen_and_a_tie_takes_the_smaller():
    assert choose_k_min(records({0: 3, 2: 6, 4: 9, 8: 5})).k_min == 4
    assert choose_k_min(records({4: 9, 8: 9, 0: 2})).k_min == 4


def test_the_choice_goes_into_the_preset_with_its_record():
    choice = choose_k_min(records({0: 3, 4: 9}))
    given = yaml.safe_load(choice.as_yaml())
    assert "world seed 9000, mini-mlvu, n = 10; 0: 30.0 %, 4: 90.0 %" in choice.record
    overrides = [f"allocation.{key}={json.dumps(value)}" for key, value in given.items()]
    assert learned_k_min(load_preset("tiny", overrides)) == 4


def test_a_broken_number_is_refused_and_none_is_none():
    with pytest.raises(ValueError, match=r"allocation\.learned_k_min\.record: Field required"):
        load_preset("tiny", ["allocation.learned_k_min={k_min: 4}"])
    assert learned_k_min(load_preset("tiny", ["allocation.learned_k_min=null"])) is None


def test_no_world_that_is_evaluated_may_choose():
    with pytest.raises(ValueError, match=r"world seed 9000 alone, got \[0\]"):
        choose_k_min(records({0: 3, 4: 9}, world_seed=0))


def test_every_value_must_answer_the_same_questions():
    frame = pd.concat([records({0: 3}), records({4: 9}, num_questions=9)])
    with pytest.raises(ValueError, match="same questions"):
        choose_k_min(frame)


def test_the_grid_is_ata_with_another_k_min_and_no_row_of_the_paper():
    rows = k_min_grid((0, 4))
    assert [(row.name, row.k_min) for row in rows] == [("ata-k0", 0), ("ata-k4", 4)]
    assert rows[0] == replace(rows[1], name="ata-k0", k_min=0)
