"""Training summaries and curves as tables, from the files that training leaves."""

import json

import pytest

from tempo_lib.analysis import training_summaries as summaries
from tempo_lib.checkpoints import folders as checkpoint_folders
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.config import load_preset
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.provenance import manifest_path

DECODER = {
    "steps": 300,
    "seed": 0,
    "seconds": 90.0,
    "curriculum": {
        "longest": 8.0,
        "accuracy": {"needle": 0.5},
        "history": [
            {"step": 100, "longest": 4.0, "loss": 2.0},
            {"step": 200, "longest": 4.5, "loss": 1.0, "needle": 0.4, "global": 0.9},
        ],
    },
    "accuracy": {
        "64": {"global": {"accuracy": 0.7, "n": 20}, "needle": {"accuracy": 0.9, "n": 33}},
        "8": {"caption": {"accuracy": 0.5, "n": 32}, "needle": {"accuracy": 1.0, "n": 30}},
    },
}
COMPRESSOR = {
    "config": {"vision_steps": 2, "steps": 3},
    "seed": 0,
    "seconds": 60,
    "accuracy": {"caption_4": 0.9, "relevance_8": 0.75},
}
STAGE = {"stage": 3, "seed": 1, "samples": 7, "steps": 5, "seconds": 30.0, "final_loss": 0.25}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project with a decoder, a compressor and stage 3, and a package that ships nothing."""
    train = tmp_path / "runs" / "tiny" / "train"
    given = {"base_decoder": DECODER, "base_compressor": COMPRESSOR, "stage3": STAGE}
    for name, summary in given.items():
        (train / name).mkdir(parents=True)
        (train / name / "card.json").write_text(json.dumps(summary))
    losses = [{"phase": 0, "step": 0, "loss": 3.0}, {"phase": 1, "step": 0, "loss": 2.0}]
    (train / "base_compressor" / "losses.json").write_text(json.dumps(losses))
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    load_preset("tiny")  # kept from now on: its folder is hidden with the package
    monkeypatch.setattr(checkpoint_folders.resources, "files", lambda _: tmp_path / "nothing")
    return tmp_path


def test_untrained_parts_are_left_out(home):
    assert list(summaries.find_parts("tiny")) == ["base_decoder", "base_compressor", "stage3"]


def test_without_a_last_stage_the_command_that_makes_it_is_named(home):
    (home / "runs" / "tiny" / "train" / "stage3" / "card.json").unlink()
    with pytest.raises(CheckpointError, match="tempo train"):
        summaries.find_parts("tiny")


def test_the_table_of_summaries_says_steps_minutes_and_what_a_part_can(home):
    table = summaries.summary_table(summaries.find_parts("tiny"), load_preset("tiny"))
    assert table["steps"].to_dict() == {"base_decoder": 300, "base_compressor": 5, "stage3": 5}
    assert table["minutes"].tolist() == [1.5, 1.0, 0.5]
    assert table.loc["stage3", "what"] == "long-context SFT"
    accuracy = table["accuracy, held out"]
    assert accuracy["base_decoder"] == "at 64 segments: global 0.70, needle 0.90"
    assert accuracy["base_compressor"] == "caption_4 0.90, relevance_8 0.75"
    assert accuracy["stage3"] == ""


def test_accuracies_of_a_decoder_come_by_length_then_kind():
    table = summaries.decoder_accuracy(DECODER, KINDS)
    assert table["segments"].tolist() == [8, 8, 64, 64]
    assert table["kind"].tolist() == ["needle", "caption", "needle", "global"]
    assert table["accuracy"].tolist() == [1.0, 0.5, 0.9, 0.7]


def test_the_history_keeps_the_kinds_that_it_holds():
    table = summaries.decoder_history(DECODER, KINDS)
    assert list(table.columns) == ["step", "longest", "loss", "needle", "global"]
    assert table["needle"].isna().tolist() == [True, False]
    assert summaries.decoder_history({}, KINDS).empty


def test_phases_of_a_base_compressor_have_names(home):
    table = summaries.base_losses(summaries.find_parts("tiny")["base_compressor"])
    assert table["phase"].tolist() == ["vision", "language"]
    assert table["loss"].tolist() == [3.0, 2.0]


KEPT = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in manifest_path("measurements").glob("*.json")
}


@pytest.mark.parametrize("name", sorted(name for name, facts in KEPT.items() if "files" in facts))
def test_every_kept_table_is_the_one_that_its_facts_were_written_with(name):
    tables, facts = summaries.read_measurement(name, KEPT[name]["preset"])
    assert len(tables) == len(facts["files"]) > 0
    assert all(len(table) for table in tables.values())
    assert facts["dirty"] is False


def test_an_absent_or_changed_measurement_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no training_seeds.json of preset 6b"):
        summaries.read_measurement("training_seeds", "6b")
    (tmp_path / "made.json").write_text(
        json.dumps({"preset": "tiny", "files": {"made_rows.csv": "0"}})
    )
    (tmp_path / "made_rows.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"made_rows.csv is not the table that made.json"):
        summaries.read_measurement("made", "tiny", tmp_path)
