import subprocess
import sys

import pandas as pd
import pytest

from tempo_lib.config import load_preset
from tempo_lib.evaluation.published import load_published
from tempo_lib.figures.recipe import mixture_table, recipe_html, recipe_table
from tempo_lib.provenance import manifest_path

TINY = load_preset("tiny")


def manifest_sources():
    from tempo_lib.training.data import load_manifest

    return load_manifest(manifest_path(TINY.training.manifest)).stages


def cell(table, row, stage):
    found = table[(table["row"] == row) & (table["stage"] == stage)]
    assert len(found) == 1
    return found.iloc[0]


def test_recipe_keeps_every_published_cell():
    table = recipe_table(TINY)
    assert table["published"].tolist() == load_published("tablea")["value"].tolist()


def test_recipe_shows_the_presets_own_stages():
    table = recipe_table(TINY)
    for stage, numbers in TINY.training.stages.items():
        trains = cell(table, "Linear Projector", stage)["own"] == "Unfrozen"
        assert trains == ("projector" in numbers.trainable)
        rate = cell(table, "LR (LLM & Projector & Memory Token)", stage)["own"]
        assert float(rate) == pytest.approx(numbers.learning_rate)
        assert "0" not in rate.split("e")[1]  # 3e-3, not 3e-03
    assert cell(table, "LR (SVLM)", 0)["own"] == "-"
    assert cell(table, "Optimizer", 2)["own"] == "AdamW"
    assert cell(table, "Learning Rate Schedule", 2)["own"] == "Cosine"
    assert cell(table, "GPUs (NVIDIA H100)", 0)["own"] == ""


def test_a_preset_without_training_leaves_its_cells_empty():
    assert set(recipe_table(TINY.model_copy(update={"training": None}))["own"]) == {""}


def test_the_preset_of_the_papers_scale_agrees_with_every_cell_of_table_a():
    table = recipe_table(load_preset("6b"))
    assert table["own"].tolist() == load_published("tablea")["value"].tolist()


def test_mixtures_count_the_stories_of_each_modality():
    table = mixture_table(TINY, manifest_sources())
    assert list(table["row"].unique()) == ["Image", "Video", "Text", "Mixed", "Total"]
    for stage in range(4):
        specs = TINY.miniature.corpora[f"stage{stage}"].sources
        scale = TINY.miniature.corpus_scale.get(f"stage{stage}", 1)  # of the stories
        videos = round(scale * sum(s.num_stories for s in specs if s.modality == "video"))
        own = cell(table, "Video", stage)["own"]
        assert own == (f"{videos:,}" if videos else "")
        total = round(scale * sum(s.num_stories for s in specs))
        assert cell(table, "Total", stage)["own"] == f"{total:,}"
    assert cell(table, "Mixed", 3)["published"] == "~384K"


def test_mixtures_of_the_papers_scale_count_what_public_lists_count():
    from tempo_lib.training.data import load_manifest

    paper = load_preset("6b")
    sources = load_manifest(manifest_path(paper.training.manifest)).stages
    table = mixture_table(paper, sources)
    assert cell(table, "Image", 0)["own"] == "558,000"
    assert cell(table, "Text", 1)["own"] == "143,000"
    assert cell(table, "Mixed", 3)["own"] == ""


def test_mixtures_refuse_a_source_that_the_preset_does_not_know():
    sources = manifest_sources()
    wrong = {**sources, "stage0": [sources["stage0"][0].model_copy(update={"name": "other"})]}
    with pytest.raises(ValueError, match=r"how large other is.*stage0-images"):
        mixture_table(TINY, wrong)


def test_the_html_holds_every_cell_and_shades_equal_ones():
    rows = [("S", "R", stage, "1", "1" if stage else "2") for stage in range(4)]
    table = pd.DataFrame(rows, columns=["section", "row", "stage", "published", "own"])
    html = recipe_html(table, title="Title", own="preset tiny").to_html()
    assert "3 of 4 cells that both state" in html
    assert html.count("1\n1") == 3 and html.count("1\n2") == 1
    with pytest.raises(ValueError, match="stands twice"):
        recipe_html(pd.concat([table, table]), title="Title", own="preset tiny")


def test_the_real_tables_are_drawn_whole():
    for table in (recipe_table(TINY), mixture_table(TINY, manifest_sources())):
        html = recipe_html(table, title="T", own="preset tiny").to_html()
        assert all(row in html for row in table["row"].unique())


def test_the_recipe_loads_no_torch():
    code = "import sys, tempo_lib.figures.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
