"""Pictures of several trainings: every seed and the pool are where the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from tempo_lib.figures.trainings import (
    LOOKS,
    POOL,
    seeds_accuracy,
    seeds_forest,
    switches_forest,
)


def row(claim, seed, effect, verdict="not shown", **more):
    facts = {"family": "all", "claim": claim, "says": f"{claim} helps", "source": "2B"}
    facts |= {"expects": "ahead", "needs": 0.0, "compared": "as the paper", "model_seed": seed}
    facts |= {"n": 40, "effect": effect, "low": effect - 0.05, "high": effect + 0.05}
    return {**facts, "verdict": verdict, **more}


def claims():
    matched = {"compared": "token-matched"}
    return pd.DataFrame(
        [
            row("uniform", "0", 0.2, "shown"),
            row("uniform", "1", -0.1, "reversed"),
            row("uniform", "pooled", 0.05),
            row("uniform", "0", 0.3, "shown", **matched),
            row("uniform", "1", 0.1, "shown", **matched),
            row("uniform", "pooled", 0.2, "shown", **matched),
            row("own", "0", 0.0, source="beyond"),
            row("own", "1", 0.01, source="beyond"),
            row("own", "pooled", 0.0, source="beyond"),
        ]
    )


def accuracies():
    rows = [
        {"model_seed": seed, "suite": "mini-mlvu", "variant": name, "kind": kind, "n": 12}
        | {"accuracy": share, "low": share - 0.1, "high": share + 0.1}
        for seed, share in ((0, 0.5), (2, 0.8))
        for name in ("ata", "no-ata", "merge")
        for kind in ("all", "after", "needle")
    ]
    return pd.DataFrame(rows)


def differences():
    effects = (("0", 0.1), ("1", -0.08), ("pooled", 0.01))
    rows = [
        {"training": "paper-prompt", "longer": 4.0, "model_seed": seed, "suite": "all", "n": 12}
        | {"variant": name, "kind": kind, "difference": value}
        | {"low": value - 0.03, "high": value + 0.03}
        for seed, value in effects
        for name in ("ata", "no-ata")
        for kind in ("all", "needle")
    ]
    return pd.DataFrame(rows)


def marks(ax):
    return {line.get_label(): line for line in ax.lines if "training" in str(line.get_label())}


def test_a_mark_a_seed_in_points_and_a_panel_a_comparison():
    paper, matched = seeds_forest(claims(), "tiny").axes
    np.testing.assert_allclose(marks(paper)["training seed 0"].get_xdata(), [20, 0])
    np.testing.assert_allclose(marks(paper)["training seed 1"].get_xdata(), [-10, 1])
    np.testing.assert_allclose(marks(matched)["training seed 1"].get_xdata(), [10])
    heights = [mark.get_ydata()[0] for mark in marks(paper).values()]
    assert len(set(heights)) == 2  # no seed hides another


def test_the_bar_is_the_pooled_interval():
    ax = seeds_forest(claims()).axes[0]
    bars = [c for c in ax.collections if to_rgba(POOL) in map(tuple, c.get_facecolor())]
    ends = [sorted(set(np.round(bar.get_paths()[0].vertices[:, 0], 6))) for bar in bars]
    assert ends == [[0.0, 10.0], [-5.0, 5.0]]


def test_the_words_count_the_seeds_that_show_a_claim():
    paper, matched = seeds_forest(claims()).axes
    assert [text.get_text() for text in paper.texts] == ["1 of 2", "0 of 2", "shown"]
    words = matched.texts
    assert [text.get_text() for text in words] == ["2 of 2", "-", "shown"]
    assert [text.get_fontweight() for text in words[:2]] == ["bold", "normal"]


def test_descriptions_tell_seeds_pools_and_scale():
    fig = seeds_forest(claims(), "tiny")
    assert "preset tiny" in fig.get_suptitle()
    assert "0 +20.0 (shown), 1 -10.0 (reversed), pooled +5.0 (not shown)" in fig.alt_text
    told = seeds_accuracy(accuracies(), "mini-mlvu").alt_text
    assert "ATA: training seed 0 50.0 % (40.0 to 60.0), training seed 2 80.0 %" in told


def test_accuracies_have_a_panel_a_variant_and_kinds_in_the_worlds_order():
    fig = seeds_accuracy(accuracies(), "mini-mlvu", "tiny")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["ATA", "all tokens"]
    labels = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert labels == ["all kinds, n = 12", "needle, n = 12", "after, n = 12"]
    np.testing.assert_allclose(marks(fig.axes[1])["training seed 2"].get_xdata(), [80] * 3)


def test_trainings_minus_the_recipe_have_a_row_each_and_the_pool_is_a_bar():
    fig = switches_forest(differences(), "tiny")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["ATA", "all tokens"]
    ax = fig.axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "prompt as in the paper\n4 times as long, seed 0"
    assert labels[2].endswith("all seeds")
    drawn = [line for line in ax.lines if line.get_marker() == LOOKS[0].marker]
    np.testing.assert_allclose(
        [(*m.get_xdata(), *m.get_ydata()) for m in drawn], [(10, 0), (-8, 1)]
    )
    (bar,) = [c for c in ax.collections if to_rgba(POOL) in map(tuple, c.get_facecolor())]
    assert sorted(set(np.round(bar.get_paths()[0].vertices[:, 0], 6))) == [-2.0, 4.0]
    assert "seed 1 -8.0 (-11.0 to -5.0)" in fig.alt_text


def test_no_two_seeds_look_alike_and_too_many_are_refused():
    assert len({look.colour for look in LOOKS}) == len({look.marker for look in LOOKS})
    assert len({look.colour for look in LOOKS}) == len(LOOKS)
    many = pd.DataFrame([row("uniform", str(seed), 0.1) for seed in range(len(LOOKS) + 1)])
    with pytest.raises(ValueError, match="1 to 5 trainings, got 6"):
        seeds_forest(many)


def test_what_the_tables_do_not_hold_is_named():
    with pytest.raises(ValueError, match="no claims of family 'mini'; the table holds all"):
        seeds_forest(claims(), family="mini")
    with pytest.raises(ValueError, match="'mini'; known: mini-mlvu"):
        seeds_accuracy(accuracies(), "mini")
    with pytest.raises(ValueError, match="no differences of ata"):
        switches_forest(differences().assign(suite="mini"))


def test_letters_are_large_enough_and_nothing_is_cut_off():
    drawn = (seeds_forest(claims()), seeds_accuracy(accuracies(), "mini-mlvu"))
    for fig in (*drawn, switches_forest(differences())):
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert fig.get_figwidth() == 10 and min(sizes) >= 12
        fig.draw_without_rendering()
        for ax in fig.axes:
            for text in ax.texts:
                assert text.get_window_extent().x1 <= fig.bbox.x1
