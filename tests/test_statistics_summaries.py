"""Tables of accuracies and of differences, on records that can be checked by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import BENCHMARKS, Question
from tempo_lib.registry import load_plugins
from tempo_lib.statistics.majority import constant_answers, majority_baseline
from tempo_lib.statistics.summaries import (
    clusters,
    compare,
    difference_of,
    pool_seeds,
    summarise,
    summary,
)


def needle(code, start=0.0):
    text = "Which number is shown with the red star?"
    facts = {"text": text, "answer": f"The red star shows {code}.", "group": "needle"}
    return Question(id="", start=start, stop=start + 2, **facts)


def grounding(start):
    facts = {"text": "When is the red star seen?", "answer": f"{start + 1:.1f}"}
    return Question(id="", group="grounding", start=start, stop=start + 2, **facts)


def score(question, text):
    """A time within 2 seconds of the evidence, the right letter, or the right answer."""
    if question.group == "grounding":
        return question.start - 2 <= float(text) <= question.stop + 2
    if question.options:
        return text.strip(".")[-1] == question.answer.strip(".")[-1]
    return text == question.answer


def test_the_majority_baseline_is_the_best_constant_answer_of_each_kind():
    # 47 answers two of three; one time tag is right for the two stories that overlap there
    asked = [needle(47), needle(47), needle(12), grounding(0.0), grounding(1.0), grounding(50.0)]
    assert constant_answers(asked, [score] * 6) == (2 + 2) / 6


def rows(variant, correct):
    asked = [needle(47), needle(12), needle(47), grounding(10.0)]
    return pd.DataFrame(
        {
            "variant": variant,
            "video": ["a", "a", "b", "b"],
            "question_id": ["a-0", "a-1", "b-0", "b-1"],
            "kind": [q.group for q in asked],
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
    facts = summary(rows("ata", [True, False, True, False]), score)
    assert (facts["n"], facts["accuracy"]) == (4, 0.5)
    assert facts["interval"][0] < 0.5 < facts["interval"][1]
    assert facts["per_type"]["needle"]["accuracy"] == pytest.approx(2 / 3)
    assert facts["per_type"]["grounding"]["n"] == 1
    assert facts["tokens_per_frame"] == 0.75
    assert facts["majority_baseline"] == 0.75
    assert facts["relevance_auc"] == 0.75


def test_a_summary_tells_forms_apart_and_what_a_control_left_unused():
    frame = rows("top-k-matched", [True, False, True, False]).assign(
        form=["open", "choice", "open", "open"], matched_tokens=[100, 104, 50, 52]
    )
    facts = summary(frame, score)
    assert {form: part["n"] for form, part in facts["per_form"].items()} == {"choice": 1, "open": 3}
    assert facts["per_form"]["open"]["accuracy"] == pytest.approx(2 / 3)
    assert facts["token_mismatch"] == 1.5
    assert summary(rows("ata", [True] * 4), score)["token_mismatch"] is None


def test_a_summary_of_two_variants_is_refused():
    both = pd.concat([rows("ata", [True] * 4), rows("top-k", [True] * 4)])
    with pytest.raises(ValueError, match="of one variant"):
        summary(both, score)


def table_of(frame, by="kind"):
    return summarise(frame, ["variant"], [by], baseline=True, score=score)


def test_the_table_has_a_row_for_each_kind_and_for_all():
    table = table_of(rows("ata", [True, False, True, False]))
    assert table["kind"].tolist() == ["all", "grounding", "needle"]
    assert table["n"].tolist() == [4, 1, 3]
    assert table["accuracy"].tolist() == pytest.approx([0.5, 0.0, 2 / 3])
    assert table["floor"].tolist() == pytest.approx([0.75, 1.0, 2 / 3])


def test_the_table_can_be_by_form_or_by_model_seed():
    frame = rows("ata", [True, False, True, False]).assign(form=["open", "open", "choice", "open"])
    table = table_of(frame, "form").set_index("form")
    assert table["n"].to_dict() == {"all": 4, "choice": 1, "open": 3}
    both = pool_seeds({0: frame, 7: rows("ata", [True] * 4)})
    by_seed = table_of(both, "model_seed").set_index("model_seed")
    assert by_seed["accuracy"].to_dict() == {"all": 0.75, 0: 0.5, 7: 1.0}


def test_the_majority_baseline_of_options_is_a_letter_that_open_answers_do_not_share():
    letters = [
        replace(needle(code), answer=f"The red star shows {code} {letter}.", options=tuple("abcd"))
        for code, letter in ((11, "A"), (12, "A"), (13, "B"))
    ]
    assert constant_answers(letters, [score] * 3) == 2 / 3
    asked = [*letters, needle(47), needle(47)]
    assert constant_answers(asked, [score] * 5) == (2 + 2) / 5


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
    measured = difference_of(pool_seeds(frames), "ata", "top-k", seed=0)
    assert (measured.n, measured.difference) == (8, 0.75)
    assert measured.p_value == 2 / 2**2  # two videos, whatever number of models answered them


def test_variants_are_compared_question_by_question():
    one, two = rows("ata", [True, True, False, True]), rows("top-k", [True, False, False, False])
    both = pd.concat([one, two.iloc[::-1]])  # the order of rows does not matter
    assert difference_of(both, "ata", "top-k", seed=0).difference == 0.5
    with pytest.raises(ValueError, match="do not have the same questions"):
        difference_of(pd.concat([one, two.iloc[:3]]), "ata", "top-k", seed=0)
    with pytest.raises(ValueError, match="no records of variant 'merge'"):
        difference_of(both, "ata", "merge", seed=0)


def test_a_column_of_totals_is_pooled_first_and_means_stand_beside_accuracies():
    frame = pd.concat([rows("top-k", [True] * 4), rows("ata", [False] * 4)]).assign(suite="s")
    table = summarise(frame, ["variant"], ["suite", "kind"], means={"tokens": "tokens_used"})
    assert list(table.columns[:4]) == ["variant", "suite", "kind", "n"]
    assert table["variant"].unique().tolist() == ["top-k", "ata"]
    places = [("all", "all"), ("all", "grounding"), ("all", "needle")]
    places += [("s", kind) for _, kind in places]
    assert list(table[["suite", "kind"]][:6].itertuples(index=False, name=None)) == places
    assert table["tokens"].tolist()[:3] == pytest.approx([75, 50, 250 / 3])


def test_a_group_by_columns_of_its_own_needs_no_variant():
    answers = pd.DataFrame(
        {"k": [2, 2, 1], "video": ["a", "b", "a"], "correct": [True, False, True]}
    )
    table = summarise(answers, ["k"])
    assert table[["k", "n", "accuracy"]].values.tolist() == [[2, 2, 0.5], [1, 1, 1.0]]
    assert summarise(answers, [])["n"].tolist() == [3]


def test_pairs_are_compared_within_each_group():
    one, two = rows("ata", [True, True, False, True]), rows("top-k", [True, False, False, False])
    table = compare(pd.concat([one, two]), [("ata", "top-k"), ("top-k", "ata")], by=["kind"])
    needles = table[table["kind"] == "needle"]
    assert needles["n"].tolist() == [3, 3]
    assert needles["difference"].tolist() == pytest.approx([1 / 3, -1 / 3])
    grounded = table[table["kind"] == "grounding"]
    assert grounded[["first", "difference"]].values.tolist() == [["ata", 1.0], ["top-k", -1.0]]


def test_other_columns_and_values_are_compared_alike():
    frame = pd.DataFrame(
        {
            "block": ["whole", "whole", "cut", "cut"],
            "video": ["a", "b"] * 2,
            "question_id": ["a-0", "b-0"] * 2,
            "share": [0.5, 0.7, 0.1, 0.3],
        }
    )
    row = compare(frame, [("whole", "cut")], column="block", value="share").iloc[0]
    assert (row["n"], row["difference"]) == (2, pytest.approx(0.4))


def test_the_baseline_of_a_frame_is_that_of_its_questions():
    frame = rows("ata", [True] * 4)
    assert majority_baseline(frame, score) == 0.75
    with pytest.raises(ValueError, match="'nowhere'"):
        majority_baseline(frame.assign(suite="nowhere"))


def real_rows(**columns):
    """Two groups of unequal size: 3 of 4 right, 0 of 2."""
    frame = rows("ata", [True, True, False, True])
    rest = rows("ata", [False, False, False, False]).iloc[:2].assign(kind="count", video="c")
    frame = pd.concat([frame.assign(kind="plot"), rest.assign(question_id=["c-0", "c-1"])])
    return frame.assign(**columns).reset_index(drop=True)


def test_the_mean_over_groups_does_not_weigh_them_by_their_questions():
    frame = real_rows()
    assert summarise(frame, ["variant"])["accuracy"].item() == 0.5
    table = summarise(frame, ["variant"], over="kind")
    assert (table["n"].item(), table["accuracy"].item()) == (6, 0.375)
    assert table["low"].item() < 0.375 < table["high"].item()


def test_a_mean_over_groups_of_equal_size_is_the_mean_over_questions():
    frame = pd.concat(
        [
            real_rows(kind=kind, correct=[kind == "a"] * 4 + [False] * 2).assign(
                video=f"{kind}{i}", question_id=f"{kind}{i}-"
            )
            for i in range(3)
            for kind in ("a", "b")
        ]
    )
    plain, grouped = (summarise(frame, [], over=over).iloc[0] for over in ("", "kind"))
    assert grouped["accuracy"] == pytest.approx(1 / 3)  # 4 of 6 and 0 of 6
    assert plain["accuracy"] == pytest.approx(1 / 3)


def test_groups_all_right_or_all_wrong_still_have_an_interval():
    frame = real_rows(correct=[True] * 4 + [False] * 2)
    row = summarise(frame, [], over="kind").iloc[0]
    assert row["accuracy"] == 0.5 and row["low"] < 0.5 < row["high"]


def test_a_summary_holds_both_scorers_and_replies_without_a_letter():
    letters = {"letter": ["A", "", "B", "A", "", "C"], "correct_before": [True] * 2 + [False] * 4}
    facts = summary(real_rows(**letters), score, over="kind")
    assert (facts["metric"], facts["accuracy"]) == ("mean over groups", 0.375)
    assert facts["scorer_before"]["accuracy"] == 0.25  # 2 of 4 and 0 of 2
    assert facts["unparsed"] == 2
    plain = summary(rows("ata", [True] * 4), score)
    assert plain["metric"] == "mean over questions" and "scorer_before" not in plain


def test_a_difference_of_means_over_groups_is_theirs_where_the_benchmark_averages_so():
    load_plugins(load_preset("6b").plugins)
    first, second = real_rows(), real_rows(correct=[True, False, False, False, True, False])
    both = pd.concat([first.assign(variant="one"), second.assign(variant="two")])
    means = summarise(both, ["variant"], over="kind").set_index("variant")["accuracy"]
    mlvu, other = (both.assign(suite=name) for name in ("mlvu", "lvbench"))
    change = difference_of(mlvu, "one", "two").difference
    assert change == pytest.approx(means["one"] - means["two"]) == 0.0
    assert difference_of(other, "one", "two").difference == pytest.approx(1 / 6)
    pooled = difference_of(pd.concat([mlvu, other]), "one", "two").difference
    assert pooled == pytest.approx((0 + 1 / 6) / 2)


def test_suites_are_strata_of_differences_and_accuracies():
    many = [
        rows("one", [True] * 4).assign(suite="easy", video=f"e{i}", question_id=list("abcd"))
        for i in range(6)
    ]
    many += [frame.assign(suite="hard", correct=False) for frame in many]
    frame = pd.concat(
        [part.assign(question_id=part["video"] + part["question_id"]) for part in many]
    )
    both = pd.concat([frame, frame.assign(variant="two", correct=False)], ignore_index=True)
    change = difference_of(both, "one", "two")
    assert (change.difference, change.low, change.high) == (0.5, 0.5, 0.5)
    unaware = difference_of(
        both.drop(columns="suite").assign(video=both["suite"] + both["video"]), "one", "two"
    )
    assert unaware.low < 0.5 < unaware.high


def test_a_comparison_says_whether_suites_differ_in_sign():
    names = ("one", "two")
    shares = {"up": ([True] * 4, [False] * 4), "down": ([False] * 4, [True] * 4)}
    shares |= {"still": ([True] * 4, [True] * 4)}
    frame = pd.concat(
        [
            rows(name, right).assign(suite=suite)
            for suite, pair in shares.items()
            for name, right in zip(names, pair, strict=True)
        ],
        ignore_index=True,
    )

    def agree(*suites):
        return bool(compare(frame[frame["suite"].isin(suites)], [names])["agree"].item())

    assert agree("up") and agree("down") and agree("up", "still") and agree("down", "still")
    assert not agree("up", "down") and not agree("up", "down", "still")
    assert bool(
        compare(frame[frame["suite"] == "up"].drop(columns="suite"), [names])["agree"].item()
    )


def test_a_comparison_of_nothing_has_its_columns_and_pooled_seeds_one_index():
    columns = ["kind", "first", "second", "n", "difference", "low", "high", "p_value", "agree"]
    assert compare(rows("one", [True] * 4), [], by=["kind"]).columns.tolist() == columns
    pooled = pool_seeds({0: rows("one", [True] * 4), 1: rows("one", [True] * 4)})
    assert pooled.index.is_unique and pooled["model_seed"].tolist() == [0] * 4 + [1] * 4


def test_the_majority_baseline_takes_the_rule_of_each_suite():
    load_plugins(load_preset("tiny").plugins)
    frame = rows("one", [True] * 4).assign(suite="mini-mlvu")
    rule = BENCHMARKS.get("mini-mlvu").score
    assert majority_baseline(frame) == majority_baseline(frame, rule) == 0.5
