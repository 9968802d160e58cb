"""Trainings with a departure taken back: compared with their equals alone, and kept with facts."""

import json

import pytest
from evaluation_samples import BUDGET, brief, small_suite

from tempo_lib import workflow_jobs
from tempo_lib.analysis import training_switches
from tempo_lib.analysis.training_switches import RECIPE, TRAININGS, check_equal, training_folder
from tempo_lib.checkpoints import CheckpointError


def write_cards(root, **changed):
    """Cards of all trainings; ``changed``: more switches of one of them, by name."""
    places = {}
    for name, switches in TRAININGS.items():
        place = root / "runs" / "tiny" / f"train-{name}" / "stage3"
        place.mkdir(parents=True, exist_ok=True)
        own = {**switches, **changed.get(name.replace("-", "_"), {})}
        seed = own.pop("seed", 0)
        (place / "card.json").write_text(
            json.dumps({"steps": 5, "seconds": 1.5, "seed": seed, "switches": own})
        )
        places[name] = place
    return places


@pytest.fixture(scope="module")
def measured(make_tiny_tempo, tmp_path_factory):
    """A home with three untrained models, of which the job measured six questions."""
    home = tmp_path_factory.mktemp("home")
    for number, place in enumerate(write_cards(home).values()):
        model = brief(make_tiny_tempo(number % 2))
        model.config.budget = BUDGET
        model.save_pretrained(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPO_HOME", str(home))
        patch.setattr(training_switches, "SUITES", ("mini-longvideobench",))
        patch.setattr(training_switches, "load_suite", lambda *_, **__: small_suite(home))
        assert workflow_jobs.main(["switches"]) == 0
    return training_switches.read("tiny", home / "data_manifests" / "measurements")


def test_every_training_answers_the_same_questions(measured):
    whole = measured.accuracy[measured.accuracy["kind"] == "all"]
    assert list(dict.fromkeys(whole["training"])) == list(TRAININGS)
    assert set(whole["variant"]) == set(training_switches.VARIANTS) and set(whole["n"]) == {6}


def test_a_difference_is_that_of_the_accuracies(measured):
    keys = ["suite", "variant", "kind"]
    shares = measured.accuracy.set_index("training")
    of_recipe = shares.loc[RECIPE].set_index(keys)["accuracy"]
    rows = measured.differences
    assert set(rows["training"]) == set(TRAININGS) - {RECIPE}
    for name in set(rows["training"]):
        found = rows[rows["training"] == name]
        gap = shares.loc[name].set_index(keys)["accuracy"] - of_recipe
        for place, difference in found.set_index(keys)["difference"].items():
            assert difference == pytest.approx(gap[place], abs=1e-5)
    # the third model is the first once more
    again = rows[rows["training"] == "paper-prompt"]
    assert (again["difference"] == 0).all() and (again["p_value"] == 1).all()


def test_the_measurement_names_the_commands_that_make_it(measured):
    commands = measured.facts["commands"]
    assert commands[0].startswith("tempo train --from-scratch --stage 1 --seed 0")
    assert commands[1] == "tempo train --stage 2 --seed 0 --work runs/tiny/train-recipe"
    assert commands[2] == commands[1].replace("stage 2", "stage 3")
    assert "--stage 2 --seed 0 --paper-windows --work runs/tiny/train-paper-windows" in commands[4]
    assert commands[-1] == "python -m tempo_lib.workflow_jobs --preset tiny switches"
    stages = measured.facts["checkpoints"]["paper-prompt"]
    assert stages["stage3"]["switches"] == {"paper_prompt": True}


def test_a_missing_training_is_named_with_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"no training 'paper-prompt'.*--paper-prompt"):
        training_folder("tiny", "paper-prompt")
    assert workflow_jobs.main(["switches"]) == 2
    assert "make it with `tempo train --from-scratch --stage 1 --seed 0" in capsys.readouterr().err


CARDS = [name.replace("-", "_") for name in TRAININGS]


@pytest.mark.parametrize(
    "changed",
    [
        {"paper_windows": {"longer": 2.0}},
        {"paper_windows": {"paper_prompt": True}},
        {"paper_windows": {"paper_windows": None}},
        {"paper_prompt": {"seed": 1}},
    ],
)
def test_only_equals_are_compared(tmp_path, changed):
    check_equal(write_cards(tmp_path))
    check_equal(write_cards(tmp_path, **{n: {"longer": 2.0} for n in CARDS}))
    with pytest.raises(ValueError, match="must differ from the recipe"):
        check_equal(write_cards(tmp_path, **changed))


def test_a_measurement_that_is_not_there_names_its_command(tmp_path):
    with pytest.raises(ValueError, match=r"no training_switches.json of .* switches`"):
        training_switches.read("tiny", tmp_path)
