"""Curves, accuracies by length and by stage."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib import figures
from tempo_lib.figures.training import KIND_LINES, TARGETS
from tempo_lib.miniature.world.questions import KINDS


def history_of(num_records=10):
    steps = np.arange(1, num_records + 1) * 100
    longest = np.linspace(4, 64, num_records)
    table = pd.DataFrame({"step": steps, "longest": longest, "loss": 1.0})
    return table.assign(**{kind: np.linspace(0, 0.9, num_records) for kind in KINDS})


def lengths_of(kinds=KINDS):
    rows = [
        {"segments": segments, "kind": kind, "accuracy": 1 - segments / 200, "n": 30}
        for segments in (8, 104)
        for kind in kinds
    ]
    return pd.DataFrame(rows)


def stages_of(num_variants=5):
    rows = [
        {"variant": f"stage{i}", "kind": kind, "n": 40, "accuracy": 0.2 + i / 10}
        | {"low": 0.1 + i / 10, "high": 0.3 + i / 10, "floor": 0.25}
        for i in range(num_variants)
        for kind in ("all", "needle", "global")
    ]
    return pd.DataFrame(rows)


def losses_of(num_steps=30):
    parts = [
        pd.DataFrame({"phase": phase, "step": range(num_steps), "loss": np.linspace(2, 1, 30)})
        for phase in ("vision", "language")
    ]
    return pd.concat(parts, ignore_index=True)


def test_kinds_that_share_a_hue_differ_in_their_dashes():
    assert set(KINDS) <= set(KIND_LINES)
    assert len(set(KIND_LINES.values())) == len(KIND_LINES)


def test_decoder_learning_draws_a_line_per_kind_and_the_length():
    fig = figures.decoder_learning(history_of())
    upper, lower = fig.axes
    drawn = {line.get_label(): line.get_ydata() for line in upper.lines}
    assert set(drawn) == set(KINDS)
    np.testing.assert_allclose(drawn["after"], np.linspace(0, 0.9, 10))
    np.testing.assert_allclose(lower.lines[0].get_ydata(), np.linspace(4, 64, 10))
    assert "64 segments" in fig.alt_text and "needle 0.90" in fig.alt_text


def test_decoder_learning_refuses_a_summary_without_a_curve():
    with pytest.raises(ValueError, match="no learning curve"):
        figures.decoder_learning(history_of().iloc[:0])


def test_base_curves_has_a_row_per_part_and_a_panel_per_phase():
    fig = figures.base_curves({"base_compressor": losses_of(), "reranker": losses_of()})
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles[0] == "base compressor: vision" and titles[3] == "reranker: language"
    assert "reranker: language: from 2.00 to" in fig.alt_text
    more = losses_of().assign(phase=lambda t: t["phase"].replace("language", "telling"))
    fig = figures.base_curves({"base_compressor": losses_of(), "reranker": more})
    assert [ax.axison for ax in fig.axes] == [True, True, False, True, False, True]
    with pytest.raises(ValueError, match="no losses"):
        figures.base_curves({})


def test_accuracy_by_length_has_a_panel_per_kind_and_marks_targets():
    fig = figures.accuracy_by_length(lengths_of())
    panels = {ax.get_title(loc="left").split(" ")[0]: ax for ax in fig.axes if ax.lines}
    assert set(panels) == set(KINDS)
    np.testing.assert_allclose(panels["global"].lines[0].get_ydata(), [1 - 8 / 200, 1 - 104 / 200])
    for kind, target in TARGETS.items():
        assert list(panels[kind].lines[1].get_ydata()) == [target, target]
    assert "At 104: needle 0.48" in fig.alt_text


def test_accuracy_by_stage_draws_every_accuracy_its_interval_and_the_floor():
    table = stages_of()
    fig = figures.accuracy_by_stage(table, "mini-lvbench", "tiny")
    ax = fig.axes[0]
    points = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(points["stage3"], [0.5] * 3)
    heights = np.concatenate([lines.get_segments() for lines in ax.collections])[:, :, 1]
    assert sorted(map(tuple, heights.round(2).tolist()))[-1] == (0.5, 0.7)
    assert [0.25, 0.25] in heights.tolist()
    assert ax.get_xticklabels()[0].get_text() == "all\nn = 40"
    assert "stage4 0.60 (0.50 to 0.70)" in fig.alt_text


def test_a_stage_looks_the_same_where_another_is_missing():
    table, names = stages_of(), [f"stage{stage}" for stage in range(5)]
    part = table[~table["variant"].isin(names[:2])]
    looks = []
    for shown in (table, part):
        lines = figures.accuracy_by_stage(shown, "mini-mlvu", variants=names).axes[0].lines
        line = next(line for line in lines if line.get_label() == "stage3")
        looks.append((line.get_marker(), line.get_markeredgecolor(), line.get_xdata().tolist()))
    assert looks[0] == looks[1]


def test_accuracy_by_stage_refuses_more_variants_than_it_can_tell_apart():
    with pytest.raises(ValueError, match="1 to 10 series"):
        figures.accuracy_by_stage(stages_of(11), "mini-mlvu")


def test_they_keep_to_the_size_of_slides():
    drawn = [
        figures.decoder_learning(history_of()),
        figures.base_curves({"reranker": losses_of()}),
        figures.accuracy_by_length(lengths_of()),
        figures.accuracy_by_stage(stages_of(), "mini-mlvu"),
    ]
    for fig in drawn:
        assert fig.get_figwidth() == 10
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert min(sizes) >= 12
