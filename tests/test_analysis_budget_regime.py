"""How far a budget binds, on records that can be counted by hand, and on the paper's numbers."""

import numpy as np
import pytest
from allocation_samples import K_MAX, planted

from tempo_lib.analysis.budget_regime import BINS, published_regime, regime, regime_table


def test_a_suite_is_described_by_what_its_segments_hold_and_what_the_budget_leaves():
    short = planted([0.0, 1.0], "a", budget=64)  # 32 tokens, so that the budget holds all
    long = [planted([0.0, 0.2, 0.5, 1.0] * 2, f"b-{i}", budget=64) for i in range(2)]
    row = regime([short, *long], K_MAX)
    assert (row["n"], row["segments"], row["whole"]) == (3, 6, 6 * K_MAX)
    assert (row["budget"], row["budget_share"]) == (64, 0.5)  # of 8 segments, the median
    assert row["binds"] == pytest.approx(2 / 3)
    assert row["anchors"] == pytest.approx((2 + 8 + 8) * 2 / 3 / 64)
    assert row["normalised_score"] == pytest.approx((0.5 + 2 * 0.425) / 3, abs=1e-6)
    kept = [(np.mean(r.counts) - 2) / (K_MAX - 2) for r in (short, *long)]
    assert row["kept"] == pytest.approx(np.mean(kept))
    shares = [row[name] for name in BINS]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx(np.array([5, 4, 0, 0, 4, 0, 0, 5]) / 18)


def test_the_papers_benchmarks_stand_at_half_of_what_a_mean_video_holds():
    found = {name: published_regime(name) for name in ("longvideobench", "lvbench")}
    assert (found["lvbench"]["segments"], found["lvbench"]["budget_share"]) == (128, 0.5)
    assert found["longvideobench"]["segments"] == 119
    assert found["longvideobench"]["budget_share"] == pytest.approx(0.538, abs=1e-3)
    assert found["lvbench"]["anchors"] == 0.0625
    assert found["lvbench"]["kept"] == pytest.approx((3.5 * 8 - 4) / 124)


def test_the_table_has_a_row_of_ours_and_one_of_the_papers_per_suite():
    records = {"mini-mlvu": [planted([0.0, 1.0], "a", budget=64)]}
    table = regime_table(records, K_MAX)
    assert table[["suite", "source"]].to_numpy().tolist() == [
        ["mini-mlvu", "measured"],
        ["mini-mlvu", "published"],
    ]
    assert table["n"].tolist()[0] == 1 and np.isnan(table["n"].tolist()[1])
