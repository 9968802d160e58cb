"""A rehearsal of the paper's scale: the released layout, stand-ins, and results kept apart."""

import json

import pytest
from test_cli_data import folder_of

from tempo_lib.analysis.evaluations import missing_part
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.checkpoints.loading import RELEASED_TYPE, check_layout
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.runner import run_evaluation
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.figures.style import made_by
from tempo_lib.miniature.rehearsal import make_data, make_weights
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import published_folder, start_run

NAME = "6b-rehearsal"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("TEMPO_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def preset(home):
    return load_preset(NAME)


@pytest.fixture(scope="module")
def model(preset):
    make_weights(preset)
    return Tempo.from_pretrained(find_checkpoint(preset))


def test_a_preset_based_on_another_differs_in_what_its_file_says(preset):
    paper = load_preset("6b")
    assert preset.video == paper.video and preset.pixels == paper.pixels
    assert preset.allocation == paper.allocation and preset.evaluation == paper.evaluation
    assert preset.model.num_memory_tokens == paper.model.num_memory_tokens
    assert preset.model.decoder.hidden_size == 32 != paper.model.decoder.hidden_size
    assert load_preset(NAME, ["allocation.budget=7"]).allocation.budget == 7


def test_the_weights_have_the_released_layout_and_every_part_of_the_tables(preset, model):
    assert check_layout(find_checkpoint(preset)) == RELEASED_TYPE
    assert model.config.preset == NAME
    for name in ("without-stage3", "prior-base-std", "prior-reranker", "native-base"):
        assert missing_part(get_variant(name), [model]) is None


def test_records_lie_beside_the_rehearsal_alone(home, preset, model):
    source = folder_of(home / "lv")
    from tempo_lib.evaluation.benchmark import BENCHMARKS
    from tempo_lib.evaluation.real.stand_in import make_stand_in
    from tempo_lib.miniature.world.clips import write_clip

    lvbench = BENCHMARKS.get("lvbench")
    make_stand_in(lvbench, source, lvbench.folder(NAME), write_clip, 0.004, 1)
    suite = load_benchmark(preset, "lvbench")
    assert suite.is_stand_in
    done = run_evaluation(model, suite, ["ata", "without-stage3"], progress=False)
    assert (len(done.records), done.failures) == (2, [])
    assert list((home / "runs" / NAME / "evaluations" / "lvbench").glob("ata-*.jsonl"))
    assert not (home / "runs" / "6b").exists()


def test_annotations_that_are_absent_stop_it_before_a_video_is_made(home, preset):
    with pytest.raises(ValueError, match=r"no annotations of LongVideoBench \(val\)"):
        make_data(preset, home / "nowhere", 0.01, 1)


def test_results_say_that_they_are_a_rehearsal_and_stay_out_of_figures(home):
    import pandas as pd

    assert "REHEARSAL" in made_by(NAME) and "REHEARSAL" not in made_by("6b")
    run = start_run("t", preset=NAME)
    folder = run.save(None, pd.DataFrame({"a": [1]}), publish=True)
    assert folder == published_folder(home, NAME) == home / "runs" / NAME / "figures"
    assert json.loads((folder / "t.json").read_text())["rehearsal"] is True
    assert "rehearsal" not in start_run("t", preset="6b").provenance()
    assert not (home / "figures").exists()
