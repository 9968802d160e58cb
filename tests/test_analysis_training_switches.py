"""Trainings with a departure taken back: compared with their equals alone, and kept with facts."""

import json

import pandas as pd
import pytest
from evaluation_samples import BUDGET, brief, small_suite

from tempo_lib import load_preset
from tempo_lib.analysis import training_switches
from tempo_lib.analysis.training_seed_tables import POOLED
from tempo_lib.analysis.training_switches import (
    LONGER,
    PROMPT,
    RECIPE,
    SEEDS,
    TRAININGS,
    WINDOWS,
    Training,
    check_equal,
    differences,
    training_folder,
)
from tempo_lib.checkpoints.loading import CheckpointError
from tempo_lib.reproduce import jobs as workflow_jobs

KEYS = ["longer", "model_seed", "suite", "variant", "kind"]


def write_cards(root, changed=None, **facts):
    """Cards of all trainings; ``facts``: what the card of ``changed`` says instead."""
    places = {}
    for training in TRAININGS:
        place = root / "runs" / "tiny" / training.name / "stage3"
        place.mkdir(parents=True, exist_ok=True)
        card = {"steps": 5, "seconds": 1.5, "seed": training.seed, "switches": training.switches}
        card |= facts if training == changed else {}
        (place / "card.json").write_text(json.dumps(card))
        places[training] = place
    return places


@pytest.fixture(scope="module")
def measured(make_tiny_tempo, tmp_path_factory):
    """A home with two kinds of untrained models, of which the job measured six questions."""
    home = tmp_path_factory.mktemp("home")
    places = write_cards(home)
    for training, place in places.items():
        model = brief(make_tiny_tempo(int(training.switch == WINDOWS or training.seed == 1)))
        model.config.budget = BUDGET
        model.save_pretrained(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPO_HOME", str(home))
        patch.setattr(training_switches, "SUITES", ("mini-longvideobench",))
        patch.setattr(training_switches, "load_benchmark", lambda *_, **__: small_suite(home))
        patch.setattr(training_switches, "training_folder", lambda _, training: places[training])
        assert workflow_jobs.main(["switches"]) == 0
    return training_switches.read("tiny", home / "data_manifests" / "measurements")


def test_every_training_answers_the_same_questions(measured):
    whole = measured.accuracy[measured.accuracy["kind"] == "all"]
    asked = whole[["training", "longer", "model_seed"]].drop_duplicates()
    found = [Training(row.training, row.longer, int(row.model_seed)) for row in asked.itertuples()]
    assert found == list(TRAININGS)
    assert set(whole["variant"]) == set(training_switches.VARIANTS) and set(whole["n"]) == {6}


def test_a_difference_is_that_of_the_accuracies(measured):
    shares = measured.accuracy.set_index("training")
    of_recipe = shares.loc[RECIPE].set_index(KEYS)["accuracy"]
    rows = measured.differences[measured.differences["model_seed"] != POOLED]
    assert set(rows["training"]) == {WINDOWS, PROMPT}
    for name, found in rows.groupby("training"):
        gap = shares.loc[name].set_index(KEYS)["accuracy"] - of_recipe
        for place, difference in found.set_index(KEYS)["difference"].items():
            assert difference == pytest.approx(gap[place], abs=1e-5)
    again = rows[rows["training"] == PROMPT]  # the recipe's own weights once more
    assert (again["difference"] == 0).all() and (again["p_value"] == 1).all()


def answered(training, **correct):
    """Two questions about two videos, by seed: ``s0="10"`` answers the first one."""
    return [
        {"training": training.switch, "longer": training.longer, "model_seed": int(seed[1:])}
        | {"suite": "mini-mlvu", "world_seed": 0, "question_id": place, "video": place}
        | {"variant": "ata", "kind": "needle", "correct": value == "1"}
        for seed, values in correct.items()
        for place, value in enumerate(values)
    ]


def test_a_training_is_set_against_the_recipe_of_its_own_length_and_seed():
    rows = [
        *answered(Training(RECIPE), s0="00"),
        *answered(Training(WINDOWS), s0="10"),
        *answered(Training(RECIPE, LONGER), s0="11", s1="00"),
        *answered(Training(PROMPT, LONGER), s0="01", s1="11"),
    ]
    table = differences(pd.DataFrame(rows))
    whole = table[table["kind"] == "all"].set_index(["training", "longer", "model_seed"])
    assert whole["difference"].to_dict() == {
        (WINDOWS, 1.0, "0"): 0.5,
        (PROMPT, LONGER, "0"): -0.5,
        (PROMPT, LONGER, "1"): 1.0,
        (PROMPT, LONGER, POOLED): 0.25,
    }


def test_the_seeds_of_one_length_are_pooled_over_all_their_answers(measured):
    rows = measured.differences
    pooled = rows[rows["model_seed"] == POOLED]
    assert set(pooled["training"]) == {PROMPT} and set(pooled["longer"]) == {LONGER}
    assert set(pooled.loc[pooled["kind"] == "all", "n"]) == {6 * len(SEEDS)}


def test_the_measurement_names_the_commands_that_make_it(measured):
    commands = measured.facts["commands"]
    assert commands[0].startswith("tempo train --from-scratch --stage 1 --seed 0 --longer 4")
    assert commands[1] == "tempo train --stage 2 --seed 0 --work runs/tiny/train-recipe"
    assert commands[2] == commands[1].replace("stage 2", "stage 3")
    assert "--stage 2 --seed 0 --paper-windows --work runs/tiny/train-paper-windows" in commands[4]
    work = "--work runs/tiny/train-paper-prompt-seed1 --bases runs/tiny/train"
    assert f"tempo train --from-scratch --seed 1 --paper-prompt --longer 4 {work}" in commands
    assert commands[-1] == "python -m tempo_lib.reproduce.jobs --preset tiny switches"
    stages = measured.facts["checkpoints"]["train-paper-prompt-seed1"]
    assert stages["stage3"]["switches"] == {"paper_prompt": True, "longer": 4.0}


def test_a_missing_training_is_named_with_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"no training at .*train-paper-prompt.*--paper-prom"):
        training_folder(load_preset("tiny"), Training(PROMPT))
    assert workflow_jobs.main(["switches"]) == 2
    assert "make it with `tempo train --from-scratch --stage 1 --seed 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("training", "facts"),
    [
        (Training(WINDOWS), {"switches": {"paper_windows": True, "longer": 2.0}}),
        (Training(WINDOWS), {"switches": {"paper_windows": True, "paper_prompt": True}}),
        (Training(WINDOWS), {"switches": None}),
        (Training(PROMPT), {"seed": 1}),
        (Training(RECIPE, LONGER, 1), {"switches": {}}),
    ],
)
def test_only_equals_are_compared(tmp_path, training, facts):
    check_equal(write_cards(tmp_path))
    with pytest.raises(ValueError, match="is compared with its equals alone"):
        check_equal(write_cards(tmp_path, training, **facts))


def test_a_measurement_that_is_not_there_names_its_command(tmp_path):
    with pytest.raises(ValueError, match=r"no training_switches.json of .* switches`"):
        training_switches.read("tiny", tmp_path)
