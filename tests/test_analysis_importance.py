"""Orders of planted positions, learnt from other videos, and what the best of them answer."""

import pandas as pd
import pytest
from planted_memories import paper_suite, plant

from tempo_lib.analysis.ablation import ablated_answers, half_blocks
from tempo_lib.analysis.importance import best_answers, cross_fitted, importance
from tempo_lib.analysis.slices import accuracy_by_slice

SUITE = paper_suite(6)
NEEDED = {5, 18}


def equal_gradients(suite, capacity, **shares):
    rows = [
        {"video": video.id, "position": place, "share": shares.get(f"p{place}", 1 / capacity)}
        for video in suite.videos
        for place in range(capacity)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def ablated(tiny_tempo, monkeypatch):
    plant(monkeypatch, tiny_tempo, SUITE, lambda positions, number: positions >= NEEDED)
    return ablated_answers(tiny_tempo, SUITE, half_blocks(32), progress=False)


def test_what_every_answer_needs_comes_first_and_gradients_order_the_rest(ablated):
    table = importance(ablated, equal_gradients(SUITE, 32, p9=0.5, p5=0.1, p18=0.2))
    assert table["position"].tolist()[:4] == [18, 5, 9, 0]
    assert table["cost"].tolist()[:3] == [1.0, 1.0, 0.0]
    assert len(table) == 32


def test_an_order_comes_from_other_videos(ablated):
    changed = ablated.copy()
    first = changed["video"].iloc[0]
    orders = cross_fitted(ablated, equal_gradients(SUITE, 32))
    changed.loc[(changed["video"] == first) & (changed["first"] == 30), "correct"] = False
    again = cross_fitted(changed, equal_gradients(SUITE, 32))
    assert again[first] == orders[first]
    assert any(again[video] != orders[video] for video in orders)
    assert all(set(order[:2]) == NEEDED for order in orders.values())


def test_one_video_is_too_few(ablated):
    one = ablated[ablated["video"] == "0"]
    with pytest.raises(ValueError, match="learnt from other videos, and there is 1 alone"):
        cross_fitted(one, equal_gradients(SUITE, 32))


def test_the_best_two_answer_everything_where_one_does_not(tiny_tempo, ablated):
    orders = cross_fitted(ablated, equal_gradients(SUITE, 32))
    answers = best_answers(tiny_tempo, SUITE, orders, [1, 2, 32], progress=False)
    table = accuracy_by_slice(answers)
    table = table[table["kind"] == "all"].set_index("k")["accuracy"]
    assert table.to_dict() == {1: 0.0, 2: 1.0, 32: 1.0}
    assert set(answers["scheme"]) == {"best"}
