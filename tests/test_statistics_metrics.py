"""Accuracy, intervals and tests on numbers that can be checked by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tempo_lib.miniature.world.questions import Question
from tempo_lib.statistics.metrics import (
    accuracy,
    accuracy_table,
    auc,
    clusters,
    compare,
    floor_commonest,
    holm,
    paired_difference,
    pool_seeds,
    student_t,
    summary,
)


def needle(code, start=0.0):
    question = "Which number is shown with the red star?"
    return Question("needle", question, f"The red star shows {code}.", (), start, start + 2)


def grounding(start):
    answer = f"The red star <{start + 1:.1f} seconds>."
    return Question("grounding", "When is the red star seen?", answer, (), start, start + 2)


def test_accuracy_is_the_share_of_right_answers():
    measured = accuracy([True, False, True, True], ["a", "b", "c", "d"])
    assert (measured.n, measured.accuracy) == (4, 0.75)
    assert 0 <= measured.low < 0.75 < measured.high <= 1


def test_questions_of_their_own_videos_give_the_wilson_interval_of_student():
    # 50 of 100: the variance of single answers is n/(n-1) times larger, t is 1.984
    measured = accuracy([True, False] * 50, [str(i) for i in range(100)])
    spread = 1.984**2 / 99
    half = np.sqrt(spread / 4 + spread**2 / 4) / (1 + spread)
    assert measured.low == pytest.approx(0.5 - half, abs=1e-4)
    assert measured.high == pytest.approx(0.5 + half, abs=1e-4)


def test_copies_of_each_question_do_not_narrow_the_interval():
    single = accuracy([True, False] * 20, [str(i) for i in range(40)])
    copied = accuracy(np.repeat([True, False] * 20, 5), np.repeat(np.arange(40), 5))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    apart = accuracy(np.repeat([True, False] * 20, 5), np.arange(200))
    assert apart.high - apart.low < 0.5 * (copied.high - copied.low)


def test_all_right_still_leaves_doubt_and_counts_videos_not_questions():
    few = accuracy([True] * 10, list("aabbccddee"))
    assert few.high == 1.0
    assert few.low == pytest.approx(5 / (5 + 2.776**2), abs=1e-3)  # Wilson, n = 5 videos
    assert accuracy([True] * 10, list("abcdefghij")).low > few.low


def test_one_video_says_nothing_about_others():
    measured = accuracy([True, False], ["a", "a"])
    assert (measured.low, measured.high) == (0.0, 1.0)


def test_no_questions_are_refused():
    with pytest.raises(ValueError, match="got 0 and 0"):
        accuracy([], [])


@pytest.mark.parametrize("num_videos", [8, 30])
def test_intervals_hold_the_truth_in_95_of_100_worlds_of_alike_questions(num_videos):
    rng = np.random.default_rng(0)
    hits, worlds = 0, 1000
    videos = np.repeat(np.arange(num_videos), 5)
    for _ in range(worlds):
        ability_V = rng.beta(3.0, 2.0, num_videos)  # mean 0.6, differs from video to video
        correct_Q = rng.random(len(videos)) < np.repeat(ability_V, 5)
        measured = accuracy(correct_Q, videos)
        hits += measured.low <= 0.6 <= measured.high
    assert 0.93 <= hits / worlds <= 0.985


@pytest.mark.parametrize(
    ("degrees", "table"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (95, 1.985)],
)
def test_student_t_matches_the_printed_table(degrees, table):
    assert student_t(degrees) == pytest.approx(table, rel=2e-3)


def test_five_videos_that_all_gain_have_an_exact_p_of_2_in_32():
    first, second = [True] * 5, [False] * 5
    measured = paired_difference(first, second, list("abcde"), seed=0)
    assert (measured.difference, measured.low, measured.high) == (1.0, 1.0, 1.0)
    assert measured.p_value == 2 / 32


def test_two_questions_of_one_video_are_one_vote():
    first, second = [True] * 10, [False] * 10
    assert paired_difference(first, second, list("aabbccddee"), seed=0).p_value == 2 / 32


def test_equal_answers_differ_by_nothing():
    measured = paired_difference([True, False], [True, False], ["a", "b"], seed=0)
    assert (measured.difference, measured.low, measured.high, measured.p_value) == (0, 0, 0, 1)


def test_a_difference_is_signed_and_symmetric():
    rng = np.random.default_rng(1)
    first, second = rng.random(200) < 0.7, rng.random(200) < 0.5
    videos = np.repeat(np.arange(40), 5)
    there = paired_difference(first, second, videos, seed=3)
    back = paired_difference(second, first, videos, seed=3)
    assert there.difference == pytest.approx(-back.difference)
    assert there.low == pytest.approx(-back.high)
    assert there.low < there.difference < there.high
    assert there.p_value == back.p_value < 0.01  # drawn, so not 0
    assert there.p_value >= 1 / 10_001


def test_draws_depend_on_the_seed_alone():
    rng = np.random.default_rng(1)
    first, second = rng.random(100) < 0.6, rng.random(100) < 0.5
    runs = [paired_difference(first, second, np.arange(100), seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


def test_unequal_numbers_of_answers_are_refused():
    with pytest.raises(ValueError, match="2 and 1"):
        paired_difference([True, False], [True], ["a", "b"], seed=0)


def test_auc_counts_pairs_and_ties_half():
    assert auc([0.9, 0.8, 0.1], [1, 1, 0]) == 1.0
    assert auc([0.1, 0.9], [1, 0]) == 0.0
    assert auc([0.5, 0.5, 0.2, 0.9], [1, 0, 0, 0]) == 0.5  # one tie, one win, one loss
    assert auc([0.5, 0.6], [1, 1]) is None
    with pytest.raises(ValueError, match="2 scores but 1"):
        auc([0.5, 0.6], [1])


def test_the_floor_is_the_best_constant_answer_of_each_kind():
    # 47 answers two of three; one time tag is right for the two stories that overlap there
    asked = [needle(47), needle(47), needle(12), grounding(0.0), grounding(1.0), grounding(50.0)]
    assert floor_commonest(asked) == (2 + 2) / 6


def rows(variant, correct):
    asked = [needle(47), needle(12), needle(47), grounding(10.0)]
    return pd.DataFrame(
        {
            "variant": variant,
            "video": ["a", "a", "b", "b"],
            "question_id": ["a-0", "a-1", "b-0", "b-1"],
            "kind": [q.kind for q in asked],
            "form": "open",
            "question": [q.text for q in asked],
            "answer": [q.answer for q in asked],
            "start": [q.start for q in asked],
            "stop": [q.stop for q in asked],
            "correct": correct,
            "tokens_used": [100, 100, 50, 50],
            "matched_tokens": None,
            "num_frames": [100, 100, 100, 100],
            "auc": [1.0, 0.5, None, None],
        }
    )


def test_a_summary_says_what_the_records_say():
    facts = summary(rows("ata", [True, False, True, False]))
    assert (facts["n"], facts["accuracy"]) == (4, 0.5)
    assert facts["interval"][0] < 0.5 < facts["interval"][1]
    assert facts["per_type"]["needle"]["accuracy"] == pytest.approx(2 / 3)
    assert facts["per_type"]["grounding"]["n"] == 1
    assert facts["tokens_per_frame"] == 0.75
    assert facts["floor_commonest"] == 0.75
    assert facts["relevance_auc"] == 0.75


def test_a_summary_tells_forms_apart_and_what_a_twin_left_unspent():
    frame = rows("top-k-matched", [True, False, True, False]).assign(
        form=["open", "choice", "open", "open"], matched_tokens=[100, 104, 50, 52]
    )
    facts = summary(frame)
    assert {form: part["n"] for form, part in facts["per_form"].items()} == {"choice": 1, "open": 3}
    assert facts["per_form"]["open"]["accuracy"] == pytest.approx(2 / 3)
    assert facts["token_mismatch"] == 1.5
    assert summary(rows("ata", [True] * 4))["token_mismatch"] is None


def test_a_summary_of_two_variants_is_refused():
    both = pd.concat([rows("ata", [True] * 4), rows("top-k", [True] * 4)])
    with pytest.raises(ValueError, match="of one variant"):
        summary(both)


def test_the_table_has_a_row_for_each_kind_and_for_all():
    table = accuracy_table(rows("ata", [True, False, True, False]))
    assert table["kind"].tolist() == ["all", "grounding", "needle"]
    assert table["n"].tolist() == [4, 1, 3]
    assert table["accuracy"].tolist() == pytest.approx([0.5, 0.0, 2 / 3])
    assert table["floor"].tolist() == pytest.approx([0.75, 1.0, 2 / 3])


def test_the_table_can_be_by_form_or_by_model_seed():
    frame = rows("ata", [True, False, True, False]).assign(form=["open", "open", "choice", "open"])
    table = accuracy_table(frame, by="form").set_index("form")
    assert table["n"].to_dict() == {"all": 4, "choice": 1, "open": 3}
    both = pool_seeds({0: frame, 7: rows("ata", [True] * 4)})
    by_seed = accuracy_table(both, by="model_seed").set_index("model_seed")
    assert by_seed["accuracy"].to_dict() == {"all": 0.75, 0: 0.5, 7: 1.0}


def test_the_floor_of_options_is_a_letter_that_open_answers_do_not_share():
    letters = [
        replace(needle(code), answer=f"The red star shows {code} {letter}.", options=tuple("abcd"))
        for code, letter in ((11, "A"), (12, "A"), (13, "B"))
    ]
    assert floor_commonest(letters) == 2 / 3
    assert floor_commonest([*letters, needle(47), needle(47)]) == (2 + 2) / 5


def test_videos_of_other_suites_and_worlds_are_videos_of_their_own_but_not_of_other_models():
    frame = rows("ata", [True] * 4).assign(suite="s", world_seed=[0, 0, 0, 1])
    assert len(set(clusters(frame))) == 3  # a, b of world 0, b of world 1
    assert len(set(clusters(pool_seeds({0: frame, 1: frame})))) == 3
    assert clusters(rows("ata", [True] * 4)) == ["a", "a", "b", "b"]


def test_pooled_seeds_are_compared_question_by_question_within_each():
    frames = {
        seed: pd.concat([rows("ata", ours), rows("top-k", [False] * 4)])
        for seed, ours in ((0, [True] * 4), (1, [True, True, False, False]))
    }
    measured = compare(pool_seeds(frames), "ata", "top-k", seed=0)
    assert (measured.n, measured.difference) == (8, 0.75)
    assert measured.p_value == 2 / 2**2  # two videos, whatever number of models answered them


def test_holm_multiplies_the_smallest_most_and_never_turns_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_variants_are_compared_question_by_question():
    one, two = rows("ata", [True, True, False, True]), rows("top-k", [True, False, False, False])
    both = pd.concat([one, two.iloc[::-1]])  # the order of rows does not matter
    assert compare(both, "ata", "top-k", seed=0).difference == 0.5
    with pytest.raises(ValueError, match="not asked the same questions"):
        compare(pd.concat([one, two.iloc[:3]]), "ata", "top-k", seed=0)
    with pytest.raises(ValueError, match="no records of variant 'merge'"):
        compare(both, "ata", "merge", seed=0)
