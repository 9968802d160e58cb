"""``tempo train`` and ``tempo evaluate``: what they write, keep and refuse."""

import json

import numpy as np
import pytest
import torch

from tempo_lib.cli.app import run
from tempo_lib.miniature.world.clips import write_image
from tempo_lib.training.progress import locked
from tests.test_cli_app import assert_one_error_line


@pytest.fixture(scope="module")
def checkpoint(tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_tempo.save_pretrained(folder)
    return str(folder)


# -- evaluate ----------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty project, so that suites and records are written there."""
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def test_evaluate_writes_what_its_table_shows(capsys, home, checkpoint):
    arguments = ["evaluate", "--suite", "mini-longvideobench", "--num-questions", "3"]
    arguments += ["--checkpoint", checkpoint, "--out", str(home / "out.json")]
    assert run([*arguments, "--variant", "ata", "--variant", "top-k", "--budget", "64"]) == 0
    results = json.loads((home / "out.json").read_text())
    assert [one["variant"] for one in results] == ["ata", "top-k"]
    for one in results:
        assert (one["n"], one["budget"], one["world_seed"]) == (3, 64, 0)
        low, high = one["interval"]
        assert 0 <= low <= one["accuracy"] <= high <= 1
        assert sum(kind["n"] for kind in one["per_type"].values()) == 3
        assert one["tokens_per_frame"] > 0
        assert len(one["checkpoint_sha256"]) == 64
        assert one["overrides"] == {}
        assert one["versions"]["torch"] == torch.__version__
    out = capsys.readouterr().out
    assert "top-k" in out
    assert f"{100 * results[0]['accuracy']:.1f}" in out
    assert run([*arguments, "--set", "allocation.budget=48"]) == 0
    one = json.loads((home / "out.json").read_text())
    assert (one["variant"], one["budget"]) == ("ata", 48)
    assert one["overrides"] == {"allocation.budget": 48}


def test_a_variant_of_another_stage_needs_that_stage_beside_the_checkpoint(
    capsys, home, checkpoint
):
    arguments = ["evaluate", "--suite", "mini-mlvu", "--checkpoint", checkpoint]
    assert run([*arguments, "--variant", "without-stage3"]) == 2
    assert_one_error_line(capsys, "variant without-stage3: no checkpoint at", "stage2")


# -- train -------------------------------------------------------------------------------------


@pytest.fixture
def own_data(tmp_path):
    """Two images with captions, and the manifest that names them as stage 0."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    records = []
    for index in range(2):
        name = f"images/{index}.png"
        write_image(tmp_path / "data" / name, np.full((64, 64, 3), 90 * index, np.uint8))
        turns = [{"from": "human", "value": "<image>\nDescribe this content."}]
        turns += [{"from": "gpt", "value": "empty beach"}]
        records.append({"id": str(index), "image": name, "conversations": turns})
    (tmp_path / "data" / "own.json").write_text(json.dumps(records))
    source = {"name": "own", "annotations": "own.json", "modality": "image", "licence": "CC0-1.0"}
    source |= {"made_by": "a test", "note": "two images"}
    manifest = {"preset": "tiny", "stages": {"stage0": [source]}}
    (tmp_path / "own.yaml").write_text(json.dumps(manifest))  # JSON is YAML
    return tmp_path


def own(folder, checkpoint, *more):
    arguments = ["train", "--stage", "0", "--start", checkpoint, "--work", str(folder / "work")]
    arguments += ["--manifest", str(folder / "own.yaml"), "--data", str(folder / "data")]
    return [*arguments, "--out", str(folder / "out"), *more]


def files_of(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_stage_trains_on_data_of_ones_own_and_is_kept(capsys, own_data, checkpoint):
    arguments = own(own_data, checkpoint, "--set", "training.stages.0.epochs=2")
    assert run(arguments) == 0
    card = json.loads((own_data / "out" / "card.json").read_text())
    assert (card["stage"], card["samples"], card["skipped"], card["steps"]) == (0, 2, 0, 2)
    assert card["overrides"] == {"training.stages.0.epochs": 2}
    before = files_of(own_data / "out")
    assert run(arguments) == 0
    assert capsys.readouterr().out.count("stage 0: ") == 2
    assert run(["ask", "none", "?", "--checkpoint", str(own_data / "out"), "--json"]) == 0
    capsys.readouterr()

    assert run([*arguments, "--seed", "1"]) == 2
    assert_one_error_line(capsys, "out is of another run: seed 0, now 1; add --fresh")
    assert run([*arguments[:-1], "training.stages.0.epochs=3"]) == 2
    assert_one_error_line(capsys, "overrides: training.stages.0.epochs 2, now 3")
    questions = own_data / "data" / "own.json"
    questions.write_text(questions.read_text().replace("empty beach", "full beach"))
    assert run(arguments) == 2
    assert_one_error_line(capsys, "data_sha256 ", ", now ")
    questions.write_text(questions.read_text().replace("full beach", "empty beach"))
    manifest = own_data / "own.yaml"
    manifest.write_text(manifest.read_text().replace("a test", "another"))
    assert run(arguments) == 2
    assert_one_error_line(capsys, "manifest_sha256 ", ", now ")
    assert files_of(own_data / "out") == before


def test_held_out_samples_are_evaluated_on_the_way(capsys, own_data, checkpoint):
    records = json.loads((own_data / "data" / "own.json").read_text())
    (own_data / "data" / "own.json").write_text(json.dumps(records[:1]))
    manifest = (own_data / "own.yaml").read_text()
    (own_data / "data" / "held.json").write_text(json.dumps(records[1:]))
    (own_data / "held.yaml").write_text(manifest.replace("own.json", "held.json"))
    words = ["--set", "training.stages.0.epochs=2", "--eval-every", "1", "--tracker", "none"]
    arguments = own(own_data, checkpoint, *words, "--eval-manifest")
    assert run([*arguments, str(own_data / "own.yaml")]) == 2
    assert_one_error_line(capsys, "own.yaml holds samples that are trained on: 0:0")
    assert run([*arguments, str(own_data / "held.yaml")]) == 0
    lines = (own_data / "out" / "evaluations.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["done"] for one in found] == [0, 1, 2] and found[0]["samples"] == 1
    assert found[0]["loss"] != found[2]["loss"]
    step = json.loads((own_data / "out" / "losses.jsonl").read_text().splitlines()[0])
    assert step["frames"] == 1 and step["tokens_per_second"] > 0 and "mfu" not in step


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tracker", "excel"], "unknown tracker 'excel'"),
        (["--eval-every", "3"], "--eval-every needs --eval-manifest"),
        (["--eval-manifest", "nowhere.yaml"], "no manifest at nowhere.yaml"),
    ],
)
def test_options_of_the_log_are_checked_before_anything_trains(
    capsys, own_data, checkpoint, words, message
):
    assert run(own(own_data, checkpoint, *words)) == 2
    assert_one_error_line(capsys, message)
    assert not (own_data / "out").exists()


def test_fresh_deletes_what_a_training_wrote_and_keeps_the_rest(capsys, own_data, checkpoint):
    out = own_data / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "card.json").write_text('{"seed": 3}')
    (out / "state" / "step-00000001").mkdir(parents=True)
    (out / "state" / "mine").mkdir()
    assert run(own(own_data, checkpoint, "--fresh")) == 0
    assert json.loads((out / "card.json").read_text())["seed"] == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert "as no training wrote it: notes.txt" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["data", "data/images", "."])
def test_fresh_never_touches_the_data(capsys, own_data, checkpoint, place):
    (own_data / place / "losses.jsonl").write_text("")
    before = files_of(own_data)
    arguments = own(own_data, checkpoint, "--fresh")
    arguments[arguments.index("--out") + 1] = str(own_data / place)
    assert run(arguments) == 2
    assert_one_error_line(capsys, "--fresh would delete from --out", "is, holds or lies in --data")
    assert files_of(own_data) == before


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_folder_that_no_training_wrote_is_neither_deleted_nor_overwritten(
    capsys, own_data, checkpoint, fresh
):
    (own_data / "out").mkdir()
    (own_data / "out" / "config.json").write_text("{}")
    assert run(own(own_data, checkpoint, *fresh)) == 2
    assert_one_error_line(capsys, "config.json, which no training has written")
    (own_data / "out" / "config.json").unlink()
    (own_data / "out").rmdir()
    (own_data / "out").write_text("a file")
    assert run(own(own_data, checkpoint, *fresh)) == 2
    assert_one_error_line(capsys, "is a file; name a folder")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--start", "nowhere"], "nowhere"),
        (["--manifest", "nowhere.yaml"], "no manifest at nowhere.yaml"),
        (["--data", "nowhere"], "--data nowhere is no folder"),
        (["--stage", "3"], "the manifest has no stage3"),
    ],
)
def test_every_argument_is_checked_before_fresh_deletes(capsys, own_data, checkpoint, change, word):
    (own_data / "out").mkdir()
    (own_data / "out" / "card.json").write_text("{}")
    arguments = own(own_data, checkpoint, "--fresh")
    arguments[arguments.index(change[0]) + 1] = change[1]
    assert run(arguments) == 2
    assert_one_error_line(capsys, word)
    assert (own_data / "out" / "card.json").is_file()


def test_a_process_per_file_goes_with_own_data(capsys):
    for words in (["--safe"], ["--tracker", "none"], ["--peak-tflops", "9"]):
        assert run(["train", "--stage", "0", *words]) == 2
        assert_one_error_line(capsys, f"{words[0]} goes with data of your own")


def test_fresh_leaves_a_work_folder_that_is_not_its_own(capsys, tmp_path):
    (tmp_path / "base_decoder").mkdir()
    (tmp_path / "base_decoder" / "model.safetensors").write_text("mine")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "holiday.npz").write_text("mine")
    before = files_of(tmp_path)
    assert run(["train", "--from-scratch", "--fresh", "--work", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "--fresh would delete", "base_decoder/model.safetensors")
    assert files_of(tmp_path) == before


def test_bad_records_and_broken_media_are_one_line(capsys, own_data, checkpoint):
    questions = own_data / "data" / "own.json"
    good = questions.read_text()
    questions.write_text(
        good.replace('"Describe', '"<image>Describe').replace("<image>\\n", "<image><image>")
    )
    assert run(own(own_data, checkpoint)) == 2
    assert_one_error_line(capsys, "own.json, record 0: 2 media tags", "(and 1 more bad record")
    questions.write_text(good)
    (own_data / "data" / "images" / "1.png").write_bytes(b"")
    assert run(own(own_data, checkpoint)) == 2
    assert_one_error_line(capsys, "1 of 2 samples show one of 1 broken files", "more than the 5%")
    assert run(own(own_data, checkpoint, "--max-broken", "0.5")) == 0
    card = json.loads((own_data / "out" / "card.json").read_text())
    assert (card["samples"], card["skipped"]) == (1, 1)
    assert "images/1.png" in json.loads((own_data / "out" / "skipped.json").read_text())["files"]


def test_a_world_size_without_its_processes_is_refused(monkeypatch):
    from accelerate.state import AcceleratorState

    from tempo_lib.training.ranks import start_ranks
    from tempo_lib.training.records import TrainingError

    AcceleratorState._reset_state(reset_partial_state=True)
    start_ranks("no")  # from now on this process is joined with nobody
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="WORLD_SIZE is 2 but only 1 process is joined"):
        start_ranks("no")


def test_work_of_another_seed_is_not_mistaken_for_this_one(capsys, tmp_path):
    (tmp_path / "stage0").mkdir()
    (tmp_path / "stage0" / "card.json").write_text('{"seed": 3}')
    assert run(["train", "--from-scratch", "--work", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "seed 3, not 0")


@pytest.mark.parametrize("made", [{}, {"training.stages.0.epochs": 3}])
def test_work_of_other_overrides_is_not_mistaken_for_this_one(capsys, tmp_path, made):
    (tmp_path / "stage0").mkdir()
    facts = {"seed": 0, "overrides": made, "final_loss": 1.0, "steps": 2, "seconds": 3.0}
    (tmp_path / "stage0" / "card.json").write_text(json.dumps(facts))
    work = ["--from-scratch", "--stage", "0", "--work", str(tmp_path)]
    assert run(["train", *work, "--set", "training.stages.0.epochs=2"]) == 2
    assert_one_error_line(capsys, f"stage0 was made with overrides {made}, not")


def test_a_single_stage_is_called_again_whatever_seed_its_base_models_have(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempo_lib.miniature.pretrain.build.make_corpus", lambda mini, stage: None)
    card = {"seed": 1, "final_loss": 1.0, "steps": 2, "seconds": 3.0}
    for name, content in (
        ("base_decoder", {"seed": 0}),
        ("base_compressor", {"seed": 0}),
        ("stage0", card),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(content))
    again = ["train", "--stage", "0", "--seed", "1", "--work", str(tmp_path)]
    assert run(again) == 0
    assert "final loss 1.0, 2 steps" in capsys.readouterr().out
    assert run(["train", "--from-scratch", "--seed", "1", "--work", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "base_decoder was made with seed 0, not 1")


def test_fresh_deletes_nothing_where_another_stage_has_another_seed(tmp_path, capsys):
    folders = {name: tmp_path / name for name in ("stage0", "stage1", "stage2")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "card.json").write_text('{"seed": 0}')
        (folder / "config.json").write_text("{}")
    wanted = ["train", "--stage", "2", "--fresh", "--seed", "1", "--work", str(tmp_path)]
    assert run(wanted) == 2
    assert "seed 0, not 1" in capsys.readouterr().err
    assert (folders["stage2"] / "card.json").is_file()


def test_fresh_deletes_nothing_under_a_training_at_work(tmp_path, capsys):
    folder = tmp_path / "stage0"
    folder.mkdir()
    (folder / "losses.jsonl").write_text("{}")
    wanted = ["train", "--stage", "0", "--fresh", "--work", str(tmp_path)]
    with locked(folder, True):
        assert run(wanted) == 2
    assert "trains there already" in capsys.readouterr().err
    assert (folder / "losses.jsonl").is_file()
