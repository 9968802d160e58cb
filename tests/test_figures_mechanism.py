"""Pictures of one video, of seeds and of masks; published results; the version for a column."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from tempo_lib.evaluation.relevance import auc
from tempo_lib.figures.masks import mask_grids
from tempo_lib.figures.mechanism import (
    policies_side_by_side,
    positions_kept,
    roc_curve,
    scores_with_roc,
)
from tempo_lib.figures.published import published_result
from tempo_lib.figures.seeds import marks_by_seed
from tempo_lib.figures.style import COLUMN_INCHES, COLUMN_POINTS, new_figure
from tempo_lib.figures.timeline import flat_warning
from tempo_lib.provenance import start_run
from tempo_lib.reproduce.published import altered


def test_the_area_under_the_roc_curve_is_the_auc():
    rng = np.random.default_rng(0)
    relevant_N = rng.random(40) < 0.3
    for scores_N in (rng.random(40), rng.integers(0, 4, 40).astype(float)):
        found, others = roc_curve(scores_N, relevant_N)
        wanted = auc(scores_N, relevant_N.astype(int))
        assert np.trapezoid(found, others) == pytest.approx(wanted)


def test_every_source_has_its_area_in_the_description():
    relevant_N = np.array([False, True, False, False])
    scores = {"good": np.array([0.1, 0.9, 0.2, 0.0]), "bad": np.array([0.9, 0.0, 0.3, 0.2])}
    fig = scores_with_roc(np.arange(4.0), scores, relevant_N)
    assert "good: area 1.00; bad: area 0.00" in fig.alt_text


def test_policies_and_positions_say_what_is_kept():
    fig = policies_side_by_side(np.array([0.1, 0.9]), {"top-k": np.array([0, 8])}, 8)
    assert "top-k 0, 8" in fig.alt_text and len(fig.axes) == 2
    assert "tail 2, 3" in positions_kept({"tail": [2, 3]}, 4).alt_text


def test_a_mask_counts_what_looks_ahead():
    causal = np.tril(np.ones((3, 3), dtype=bool))
    fig = mask_grids({"causal": causal, "all": causal | True}, ["a", "a", "b"], "T")
    assert "causal: 6 of 9 pairs, 0 of them ahead; all: 9 of 9 pairs, 3" in fig.alt_text
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="4 x 4"):
        mask_grids({"causal": causal}, list("abcd"), "T")


def test_a_seed_at_the_guessing_level_is_open_and_not_in_the_mean():
    rows = [(seed, float(seed), seed == 3) for seed in range(4)]
    frame = pd.DataFrame(rows, columns=["seed", "value", "is_guess"])
    frame = frame.assign(panel="P", row="R")
    fig = marks_by_seed(frame, title="T", xlabels={"P": "points"})
    assert "P, R: +1.00" in fig.alt_text and "n = 3" in fig.alt_text
    faces = fig.axes[0].collections[0].get_facecolors()
    assert (faces[3] == 1).all() and not (faces[0] == 1).all()


@pytest.mark.parametrize(
    ("scores", "says"), [([0.0, 0.01], True), ([0.0, 0.2], False), ([0.4], False)]
)
def test_flat_scores_are_named(scores, says):
    assert bool(flat_warning(np.array(scores))) == says


def drawn():
    with new_figure(3.0, "A title that is a good deal longer than a column is wide", "tiny") as fig:
        fig.subplots().plot([0, 1])
        fig.alt_text = "A line."
    return fig


def test_a_column_has_letters_of_six_points_and_leaves_the_wide_one(tmp_path):
    fig = drawn()
    before = fig.get_size_inches().tolist(), fig.get_suptitle()
    widths = []
    fig.savefig = lambda *_, **__: widths.append(fig.get_figwidth())
    fig.save_column(tmp_path / "a.pdf")
    smallest = min(t.get_fontsize() for t in fig.findobj(Text) if t.get_text())
    assert smallest * COLUMN_INCHES / widths[0] >= COLUMN_POINTS - 1e-9
    assert (fig.get_size_inches().tolist(), fig.get_suptitle()) == before


def test_a_published_result_is_read_as_it_was_published(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    run = start_run("made", preset="tiny")
    absent = published_result(run)
    assert "no published result" in absent.caption and absent.shown() is absent
    run.record("findings", ["A is above B.", {"n": 1}])
    run.record("alt_text", "A line.")
    run.save(drawn(), pd.DataFrame({"a": [1.5]}), publish=True)
    found = published_result(run)
    assert found.findings == ["A is above B."] and found.table["a"].tolist() == [1.5]
    shown, metadata = found._repr_mimebundle_()
    assert shown["image/png"][:4] == b"\x89PNG" and "A line." in metadata["image/png"]["alt"]
    files = json.loads((run.figures_dir / "made.json").read_text())["files"]
    assert "made-column.pdf" in files and altered(run.figures_dir) == {}
