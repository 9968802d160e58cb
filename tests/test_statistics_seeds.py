"""Several trainings of one recipe, against statsmodels, scipy and worlds with a known truth."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLM

from tempo_lib.statistics.seeds import over_trainings

EFFECTS = [0.21, 0.05, -0.04, 0.13, 0.30, 0.09]


def test_one_training_says_nothing_of_others():
    found = over_trainings([0.4])
    assert (found.num, found.mean) == (1, 0.4)
    rest = (found.spread, found.low, found.high, found.next_low, found.next_high)
    assert all(map(math.isnan, (*rest, found.p_above(0.0), found.p_below(0.0))))
    with pytest.raises(ValueError, match="at least one training"):
        over_trainings([])


def test_intervals_are_those_of_a_regression_on_a_constant():
    fit = OLS(EFFECTS, np.ones(len(EFFECTS))).fit()
    frame = fit.get_prediction([1.0]).summary_frame(alpha=0.05).iloc[0]
    found = over_trainings(EFFECTS)
    ours = (found.mean, found.low, found.high, found.next_low, found.next_high)
    names = ["mean", "mean_ci_lower", "mean_ci_upper", "obs_ci_lower", "obs_ci_upper"]
    assert ours == pytest.approx(tuple(frame[names]))


@pytest.mark.parametrize("bound", [-0.03, 0.0, 0.1, 0.5])
def test_p_is_that_of_a_t_test(bound):
    found = over_trainings(EFFECTS)
    above = stats.ttest_1samp(EFFECTS, bound, alternative="greater").pvalue
    below = stats.ttest_1samp(EFFECTS, bound, alternative="less").pvalue
    assert found.p_above(bound) == pytest.approx(above)
    assert found.p_below(bound) == pytest.approx(below)


def test_equal_effects_leave_no_doubt_but_at_the_bound_itself():
    found = over_trainings([0.125, 0.125])
    assert (found.p_above(0.0), found.p_above(0.125), found.p_below(0.0)) == (0.0, 1.0, 1.0)


def test_a_new_training_lies_in_the_interval_in_95_of_100_worlds():
    rng = np.random.default_rng(0)
    inside, covered, worlds = 0, 0, 2000
    for effects in rng.normal(0.1, 0.2, (worlds, 6)):
        *trained, fresh = effects.tolist()
        found = over_trainings(trained)
        inside += found.next_low <= fresh <= found.next_high
        covered += found.low <= 0.1 <= found.high
    assert 0.935 <= inside / worlds <= 0.965
    assert 0.935 <= covered / worlds <= 0.965


def test_the_mixed_model_of_seeds_and_videos_says_the_same():
    rng = np.random.default_rng(1)
    num_seeds, num_videos, suites = 8, 30, ("a", "b")
    seed_effect = rng.normal(0.1, 0.2, num_seeds)
    rows = [
        {"seed": seed, "b": float(suite == "b"), "a": float(suite == "a"), "gain": gain}
        for seed in range(num_seeds)
        for suite in suites
        for gain in rng.normal(seed_effect[seed] + 0.3 * (suite == "b"), 0.5, num_videos)
    ]
    frame = pd.DataFrame(rows)
    fit = MixedLM(frame["gain"], frame[["a", "b"]], groups=frame["seed"]).fit(reml=True)
    # suites count alike: the effect over both is the mean of theirs
    weights = np.array([0.5, 0.5])
    mean = float(weights @ fit.fe_params)
    error = float(np.sqrt(weights @ fit.cov_params().iloc[:2, :2].to_numpy(float) @ weights))
    found = over_trainings(frame.groupby("seed")["gain"].mean().tolist())
    assert found.mean == pytest.approx(mean)
    assert found.error == pytest.approx(error, rel=0.02)
    between = float(fit.cov_re.iloc[0, 0]) + fit.scale / (2 * num_videos)
    assert found.spread**2 == pytest.approx(between, rel=0.03)
