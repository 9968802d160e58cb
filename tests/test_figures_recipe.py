import subprocess
import sys

import pandas as pd
import pytest

from tempo_lib.config import load_preset
from tempo_lib.evaluation.published import load_published
from tempo_lib.figures.recipe import mixture_table, recipe_picture, recipe_table
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


def test_the_picture_holds_every_cell_and_shades_equal_ones():
    rows = [("S", "R", stage, "1", "1" if stage else "2") for stage in range(4)]
    table = pd.DataFrame(rows, columns=["section", "row", "stage", "published", "own"])
    fig = recipe_picture(table, title="Title", own="preset tiny")
    texts = [text.get_text().strip() for text in fig.axes[0].texts]
    assert texts.count("1") == 7
    assert texts.count("2") == 1
    shades = fig.axes[0].collections[0].get_array().ravel().tolist()
    assert shades == [0] * 5 + [1] * 3  # the section's own line first
    assert "Of 4 cells that both state, 3 are the same" in fig.alt_text
    with pytest.raises(ValueError, match="stands twice"):
        recipe_picture(pd.concat([table, table]), title="Title", own="preset tiny")


def test_no_text_leaves_its_column_in_the_real_tables():
    for table in (recipe_table(TINY), mixture_table(TINY, manifest_sources())):
        fig = recipe_picture(table, title="T", own="preset tiny")
        fig.draw_without_rendering()
        ax = fig.axes[0]
        inverse = ax.transData.inverted()
        for text in ax.texts:
            assert text.get_fontsize() >= 12
            box = text.get_window_extent()
            (left, _), (right, _) = inverse.transform([(box.x0, 0), (box.x1, 0)])
            # centred cells have 1.875 inches; labels end where the first column begins
            assert right - left <= (1.875 if text.get_ha() == "center" else 4.4)


def test_the_recipe_loads_no_torch():
    code = "import sys, tempo_lib.figures.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
