"""The page about front-loading holds what was measured, and its words follow the verdicts."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from planted_memories import paper_suite, plant

from tempo_lib.analysis import front_loading_page as lesson
from tempo_lib.analysis.ablation import ablated_answers, half_blocks
from tempo_lib.analysis.attention import TARGETS
from tempo_lib.analysis.front_loading import FrontLoading, findings
from tempo_lib.analysis.probes import ProbeData
from tempo_lib.analysis.short_training import compare_with_baseline
from tempo_lib.analysis.slices import slice_answers
from tempo_lib.statistics.intervals import Difference

SEED = 0
PICTURES = [name for name in lesson.PICTURES.values() if name]
INDEX = FrontLoading(40, 9, 0.6, 0.4, 0.2, 0.05, 0.34)


def measured(sign, size=0.125):
    """An effect whose verdict is shown (1), reversed (-1) or not shown (0)."""
    p_value = 1e-6 if sign else 0.4
    middle = sign * size
    return Difference(
        n=40, difference=middle, low=middle - 0.05, high=middle + 0.05, p_value=p_value
    )


def results_of(sign=1):
    rows = [
        (lesson.PHENOMENON, "Heads answer more than tails", measured(sign)),
        (lesson.CONTENT, "The first half holds more of shape", measured(0)),
        (lesson.ATTENTION, "The first half attends more to the frames", measured(-1)),
        (lesson.NEED, lesson.IN_ORDER, measured(sign)),
        (lesson.TIME, lesson.BEFORE, measured(sign)),
        (lesson.TIME, f"{lesson.LEAD} stage2 to stage3", measured(sign)),
    ]
    nothing = FrontLoading(40, 9, 0.0, 0.0, np.nan, np.nan, np.nan)
    kinds = [
        {"kind": "all", **asdict(INDEX)},
        {"kind": "needle", **asdict(replace(INDEX, index=0.5, low=0.4, high=0.6))},
        {"kind": "global", **asdict(replace(INDEX, index=0.0, low=-0.1, high=0.1))},
        {"kind": "after", **asdict(nothing)},
    ]
    stages = [{"checkpoint": "base", **asdict(nothing)}, {"checkpoint": "stage3", **asdict(INDEX)}]
    return {
        "where": "preset tiny, mini-mlvu",
        "table": findings(rows),
        "index": INDEX,
        "by_kind": pd.DataFrame(kinds),
        "stages": pd.DataFrame(stages),
        "alt_texts": {name: f"About {name}." for name in PICTURES},
    }


@pytest.mark.parametrize(
    ("sign", "headline", "suspect"),
    [
        (1, "shown", "Causal attention alone: **shown**"),
        (0, "not shown", "trains the decoder alone): **not shown**"),
        (-1, "reversed", "The position in the decoder: **reversed**"),
    ],
)
def test_the_words_follow_the_verdicts(sign, headline, suspect):
    text = lesson.page(**results_of(sign))
    assert f"**Front-loading is {headline}**: heads" in text
    assert f"{100 * sign * 0.125:+.1f} points" in text
    assert suspect in text


def test_the_page_holds_every_sentence_picture_and_number():
    results = results_of()
    text = lesson.page(**results)
    for row in results["table"].itertuples():
        assert f"{row.statement}: **{row.verdict}**, {100 * row.effect:+.1f} points" in text
    for name in PICTURES:
        assert f"![About {name}.]({name}.png)" in text
    assert "+0.20 (+0.05 to +0.34)" in text and "60.0%" in text and "40.0%" in text
    assert "Index at base: none, neither end answered anything." in text
    assert "nan" not in text and "hardly anything answered" not in text
    meagre = replace(INDEX, head=0.02, tail=0.01)
    assert lesson.index_words(meagre) == "+0.20 (+0.05 to +0.34), hardly anything answered"
    assert all(sentence in text for sentence in lesson.NOT_DECIDED)


def test_kinds_differ_only_where_their_intervals_part():
    apart = results_of()
    table, kinds = apart["table"], apart["by_kind"]
    last = lesson.cause_sentences(table, kinds)[-1]
    assert "The task: **shown**. The index of 2 kinds runs from +0.00 (global) to +0.50" in last
    alike = lesson.cause_sentences(table, kinds.assign(low=-1.0))[-1]
    assert "The task: **not shown**" in alike
    assert "fewer than two kinds" in lesson.cause_sentences(table, kinds.head(2))[-1]


def test_incomplete_results_are_refused():
    results = results_of()
    silent = {**results, "alt_texts": {**results["alt_texts"], "front_loading_stages": ""}}
    with pytest.raises(ValueError, match="without a description: front_loading_stages"):
        lesson.page(**silent)
    rows = results["table"]
    untested = {**results, "table": rows[rows["statement"] != lesson.IN_ORDER]}
    with pytest.raises(ValueError, match=f"lack a test of: {lesson.IN_ORDER}"):
        lesson.page(**untested)


def test_all_findings_judge_what_was_planted(tiny_tempo, monkeypatch):
    """Answers need position 0 or 1, memories and attention lean to the front, stages do not."""
    suite = paper_suite(12)
    plant(monkeypatch, tiny_tempo, suite, lambda positions, number: number % 2 in positions)
    answers = slice_answers(tiny_tempo, suite, ks=[2, 8, 16], progress=False)
    ablated = ablated_answers(tiny_tempo, suite, half_blocks(16), progress=False)
    names = ("base", "stage0", "stage1", "stage2", "stage3")
    by_checkpoint = pd.concat([answers.assign(checkpoint=name) for name in names])
    found = lesson.all_findings(
        *(answers, planted_probe(6.0), planted_probe(0.0), planted_shares(), ablated),
        *(planted_gradients(suite), by_checkpoint, SEED),
    )
    verdicts = found.set_index("statement")["verdict"]
    assert set(found["topic"]) == set(lesson.PICTURES)
    shown = (
        "Heads answer more than tails",
        "Losing the first half costs more than losing the second",
    )
    holds = "The first half of the positions holds more of"
    shown += (
        f"{holds} the segment",
        f"{holds} shape",
        "The right answer depends more on the first half (gradient x input)",
    )
    shown += ("The first half of the positions attends more to the frames",)
    assert (verdicts[list(shown)] == "shown").all()
    assert verdicts["The first half of the positions attends more to memories"] == "reversed"
    quiet = [lesson.BEFORE, lesson.IN_ORDER, f"{lesson.LEAD} stage2 to stage3"]
    assert (verdicts[quiet] == "not shown").all()


def planted_probe(strength, num_videos=24, per_video=12):
    """Shape and relevance can be read in the first four of 16 positions, as strong as said."""
    rng = np.random.default_rng(3)
    shape = rng.integers(0, 3, num_videos * per_video)
    relevant = np.arange(len(shape)) % 2
    memories = rng.normal(size=(len(shape), 16, 8))
    memories[np.arange(len(shape)), :4, shape] += strength
    memories[:, :4, 4] += strength * relevant[:, None]
    labels = {
        "shape": np.array(["star", "circle", "square"])[shape],
        "relevance": np.array(["no", "yes"])[relevant],
    }
    return ProbeData(memories, labels, np.repeat(np.arange(num_videos), per_video))


def planted_shares():
    """Each position attends a little less to the frames than the one before it."""
    rows = []
    for story in range(20):
        for position in range(16):
            lost = 0.01 * position + 0.001 * story
            share = {"patches": 0.5 - lost, "query": 0.2, "memory": 0.2 + lost, "prompt": 0.1}
            rows += [
                {"story": story, "position": position, "target": name, "share": share[name]}
                for name in TARGETS
            ]
    return pd.DataFrame(rows)


def planted_gradients(suite):
    """The first of 16 positions has half of every question's gradient."""
    rows = [
        {"suite": suite.name, "world_seed": 0, "video": video.id, "question_id": question.id}
        | {"position": position, "share": 0.5 if position == 0 else 0.5 / 15}
        for video in suite.videos
        for question in video.questions
        for position in range(16)
    ]
    return pd.DataFrame(rows)


def test_trainings_with_one_thing_changed_join_the_page_where_there_are_some():
    rows = [
        {"condition": name, "seed": 0, "step": 8, "kind": "all", "n": 40, "head": 0.6, "tail": 0.3}
        | {"index": 0.3, "low": 0.2, "high": 0.4, "whole": 0.9, "lead": 0.3}
        | {"change": change, "change_low": change, "change_high": change, "change_p": p}
        for name, change, p in (("baseline", np.nan, np.nan), ("bidirectional", -0.2, 1e-4))
    ]
    table = compare_with_baseline(pd.DataFrame(rows))
    text = lesson.page(**results_of(), interventions=table)
    assert "## Trainings with one thing changed" in text and "**smaller**, -20.0 points" in text
    assert "**in line with** the paper's explanation" in text and "nan" not in text
    assert "Trainings with one thing changed" not in lesson.page(**results_of())
