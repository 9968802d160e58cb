"""What the real benchmarks cost, and what of them is missing."""

import json

import pytest

from tempo_lib.config import load_preset
from tempo_lib.evaluation.real.source import STAND_IN
from tempo_lib.evaluation.variants import get_variant
from tempo_lib.reproduce.real_plan import cost_text, missing_data, suite_costs
from tempo_lib.training.plan import Machine

PRESET, MACHINE = load_preset("6b"), Machine(num_gpus=1)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    return tmp_path


def write_lvbench(folder, num_videos=2):
    folder.mkdir(parents=True)
    row = {"question": "?", "candidates": ["(A) Tea", "(B) Ink"], "answer": "(A) Tea"}
    rows = [{**row, "video": f"v{index // 2}", "uid": index} for index in range(2 * num_videos)]
    (folder / "lvbench_clean.json").write_text(json.dumps(rows))
    return folder


def costs_of(names, **options):
    found = suite_costs(PRESET, [get_variant(name) for name in names], MACHINE, **options)
    return {one.name: one for one in found}


def test_without_files_the_published_counts_are_planned(home):
    costs = costs_of(["ata"])
    assert {name: (one.videos, one.questions) for name, one in costs.items()} == {
        "longvideobench": (753, 1337),
        "mlvu": (1122, 2175),
        "videomme": (900, 2700),
        "lvbench": (103, 1549),
    }
    assert costs["lvbench"].edition == "full, not here yet"
    assert costs["longvideobench"].gigabytes == 157
    text = cost_text(list(costs.values()), PRESET, MACHINE)
    assert "weights 17 GB, videos 157 GB and 3 benchmarks of unknown size" in text
    assert "assumed: 40% of 989 TFLOP/s" in text


def test_annotations_on_disk_are_counted(home):
    write_lvbench(home / "data" / "lvbench")
    one = costs_of(["ata"])["lvbench"]
    assert (one.edition, one.videos, one.questions) == ("a part", 2, 4)
    assert one.hours == pytest.approx(2 * 4101 / 3600)
    assert costs_of(["ata"], num_questions=2)["lvbench"].videos == 1


def test_variants_of_one_compression_add_decoding_alone(home):
    one, two, other = (
        costs_of(names)["lvbench"]
        for names in (["ata"], ["ata", "merge"], ["ata", "prior-tempo-std"])
    )
    assert one.compressions == two.compressions == one.questions
    assert other.compressions == 2 * one.questions
    assert one.gpu_hours < two.gpu_hours < other.gpu_hours
    # a question reads 128 segments of 8 frames with 2 B parameters: seconds, not minutes or hours
    assert 0.5 < 3600 * one.gpu_hours / one.questions < 30


def test_a_stand_in_is_never_taken_for_the_real_thing(home):
    folder = write_lvbench(home / "data" / "lvbench")
    for index in range(2):
        (folder / f"v{index}.mp4").touch()
    found = missing_data(PRESET, home)
    assert not any("LVBench" in problem for problem in found)
    assert any("benchmark Video-MME (into data/videomme)" in problem for problem in found)
    (folder / STAND_IN).write_text("{}")
    assert any("holds generated videos" in problem for problem in missing_data(PRESET, home))
    (folder / "v0.mp4").unlink()
    (folder / "v1.mp4").unlink()
    assert any("every video of LVBench" in problem for problem in missing_data(PRESET, home))
