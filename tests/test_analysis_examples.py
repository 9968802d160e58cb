"""Videos picked by seed, and stages and timestamps of an untrained model."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tempo_lib.analysis.examples import (
    example_table,
    pick_groups,
    pick_videos,
    segment_table,
)
from tempo_lib.analysis.stages import (
    TIMESTAMPS_ONLY,
    named_by_stage,
    stage_variants,
    targets,
    timestamps_only,
)
from tempo_lib.checkpoints.folders import stage_names
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.evaluation.runner import evaluate_records
from tempo_lib.miniature.benchmark import SuiteVideo, suite_numbers, suite_of
from tempo_lib.miniature.world.question_sets import as_choice
from tempo_lib.miniature.world.questions import KINDS, all_questions
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.statistics.summaries import summarise

NUMBERS = replace(
    suite_numbers(load_preset("tiny")),
    num_questions=6,
    fewest_questions=3,
    most_questions=3,
    frames_per_second=0.1,
    size=32,
)
STAGES = ["stage0", "stage1", "stage2", "stage3"]


def paper_suite(num_videos=12):
    """A suite without files: every question of every story, every other one with options."""
    videos = []
    for index in range(num_videos):
        rng = np.random.default_rng(index)
        story = make_story(rng, 192)
        asked = [
            as_choice(rng, question, story, 8) if number % 2 else question
            for number, question in enumerate(all_questions(story, 8))
        ]
        named = {f"{index}-{n}": question for n, question in enumerate(asked)}
        videos.append(SuiteVideo(str(index), Path("absent.mp4"), "", story, named))
    return suite_of("mini-mlvu", videos)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("suites")
    return load_benchmark("tiny", "mini-longvideobench", world_seed=1, root=root, numbers=NUMBERS)


@pytest.fixture(scope="module")
def brief_tempo(make_tiny_tempo):
    model = make_tiny_tempo()
    model.config.max_new_tokens = 2
    return model


def test_ten_videos_have_one_question_each_of_all_kinds_and_both_forms():
    picked = pick_videos(paper_suite(), 10, seed=0)
    asked = [video.questions[0] for video in picked.videos]
    assert len({video.id for video in picked.videos}) == 10
    assert all(len(video.questions) == 1 for video in picked.videos)
    assert {question.group for question in asked} == set(KINDS)
    assert 3 <= sum(bool(question.options) for question in asked) <= 7


def test_the_pick_depends_on_the_seed_alone():
    suite = paper_suite()
    assert pick_videos(suite, 4, seed=1) == pick_videos(suite, 4, seed=1)
    assert pick_videos(suite, 4, seed=1) != pick_videos(suite, 4, seed=2)


def test_more_videos_than_there_are_is_refused():
    with pytest.raises(ValueError, match="has 12 videos to pick from, got 13"):
        pick_videos(paper_suite(), 13, seed=0)


def test_groups_are_shown_by_videos_that_can_be_read():
    whole = paper_suite(4)
    broken = [replace(video, problem="the video's file is missing") for video in whole.videos[:3]]
    suite = replace(whole, videos=(*broken, whole.videos[3]))
    (picked,) = pick_groups(suite, ["needle"], seed=0).videos
    assert picked.id == whole.videos[3].id
    with pytest.raises(ValueError, match="no after question is left among 1 videos"):
        pick_groups(suite, ["needle", "after"], seed=0)


def test_example_and_segment_tables_agree_with_the_records(brief_tempo, built):
    records = evaluate_records(brief_tempo, built, ["ata"], 60, progress=False, cache=False)
    examples, segments = example_table(records), segment_table(records)
    assert examples.index.tolist() == list(range(1, len(records) + 1))
    assert segments.groupby("number")["tokens"].sum().tolist() == examples["tokens used"].tolist()
    for number, record in enumerate(records, start=1):
        inside = examples.loc[number, "tokens inside"]
        if record.relevant is None:
            assert math.isnan(inside)
            continue
        marked = segments[(segments["number"] == number) & (segments["relevant"] == 1)]
        assert inside == pytest.approx(marked["tokens"].mean(), nan_ok=True)


def test_every_stage_is_evaluated_with_whole_memories(brief_tempo, built):
    rows = stage_variants()
    assert list(rows) == list(stage_names(load_preset("tiny")))
    assert {name: row.checkpoint for name, row in rows.items()} == {
        **{name: name for name in ("stage0", "stage1", "stage2")},
        "stage3": None,  # the model itself
    }
    one = replace(built, videos=built.videos[:1])
    models = dict.fromkeys(rows, brief_tempo)
    options = {"models": models, "progress": False, "cache": False}
    for record in evaluate_records(brief_tempo, one, list(rows.values()), **options):
        assert record.counts == [brief_tempo.config.k_max] * record.num_segments


def test_stages_that_read_two_segments_are_evaluated_on_the_shortest_videos_alone():
    assert len(stage_variants("mini-longvideobench")) == 4
    for name in ("mini-mlvu", "mini-videomme", "mini-lvbench"):
        assert list(stage_variants(name)) == ["stage2", "stage3"]


def test_answers_are_named_by_their_stage():
    frame = pd.DataFrame({"variant": ["stage0", "without-stage3", "no-ata"]})
    assert named_by_stage(frame)["variant"].tolist() == ["stage0", "stage2", "stage3"]


def test_timestamps_alone_never_read_the_video(brief_tempo, built, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the compressor was called")

    monkeypatch.setattr(brief_tempo.compressor, "forward", refuse)
    frame = timestamps_only(brief_tempo, built)
    assert len(frame) == built.num_questions
    assert set(frame["variant"]) == {TIMESTAMPS_ONLY}
    table = summarise(frame, ["variant"], ["kind"])
    assert table.set_index("kind").loc["all", "n"] == built.num_questions
    assert set(summarise(frame, ["variant"], ["form"])["form"]) <= {"all", "open", "choice"}


def test_timestamps_are_all_that_the_decoder_reads(brief_tempo, built, monkeypatch):
    read = []
    embed = brief_tempo.embed
    monkeypatch.setattr(
        brief_tempo, "embed", lambda ids, memories: (read.append(ids), embed(ids, memories))[1]
    )
    timestamps_only(brief_tempo, replace(built, videos=built.videos[:1]))
    text = brief_tempo.encoder.tokenizer.decode(read[0][0].tolist())
    assert text.count("seconds>") >= built.videos[0].num_frames // 8
    assert "2.0 seconds>" in text and built.videos[0].questions[0].text in text
    assert not bool(torch.isin(read[0], torch.tensor([-200])).any())


def test_targets_compare_stage_3_with_what_it_should_reach():
    rows = [
        {"suite": "s", "world_seed": 0, "variant": variant, "video": str(n // 2), "form": "open"}
        | {"question_id": str(n), "kind": kind, "question": "q", "answer": "The red star 47."}
        | {"start": 0.0, "stop": 4.0, "correct": right(n), "auc": 0.95}
        for n in range(40)
        for kind in ["needle"]
        for variant, right in (("stage2", lambda n: n % 2 == 0), ("stage3", lambda n: n != 7))
    ]
    found = targets(pd.DataFrame(rows), seed=0)
    assert found.loc["needle", ["measured", "finding"]].tolist() == [39 / 40, "reached"]
    assert found.loc["stage 3 minus stage 2", "measured"] == pytest.approx(19 / 40)
    assert found.loc["stage 3 minus stage 2", "finding"] == "reached"
    assert found.loc["relevance AUC", ["n", "finding"]].tolist() == [40, "reached"]
    worse = pd.DataFrame(rows).replace({"stage2": "stage3", "stage3": "stage2"})
    assert set(targets(worse, seed=0)["finding"][["needle", "stage 3 minus stage 2"]]) == {
        "not reached"
    }
