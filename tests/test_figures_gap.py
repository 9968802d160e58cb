"""The picture of a gap: every change from the accuracy before it to the one after it."""

import pandas as pd
import pytest

from tempo_lib.figures.gap import explained_gap

STEPS = pd.DataFrame(
    {
        "step": ["sampling", "scorer"],
        "before": [60.0, 50.0],
        "after": [50.0, 55.0],
        "gained": [5.0, 5.0],
        "lost": [15.0, 0.0],
    }
)


def test_bars_go_up_by_what_is_gained_and_down_by_what_is_lost():
    fig = explained_gap(STEPS, preset="tiny")
    gained, lost, ends = fig.axes[0].containers
    assert [(bar.get_y(), bar.get_height()) for bar in gained] == [(60.0, 5.0), (50.0, 5.0)]
    assert [(bar.get_y(), bar.get_height()) for bar in lost] == [(65.0, -15.0), (55.0, 0.0)]
    assert [bar.get_height() for bar in ends] == [60.0, 55.0]
    assert lost[0].get_y() + lost[0].get_height() == pytest.approx(STEPS["after"][0])


def test_the_description_names_every_change_with_its_points():
    fig = explained_gap(STEPS)
    assert fig.alt_text == (
        "From 60.0 to 55.0 % in steps: sampling -10.0 (5.0 gained, 15.0 lost), "
        "scorer +5.0 (5.0 gained, 0.0 lost)."
    )
    assert fig.get_suptitle().startswith("5.0 points between two runs")
