"""Suites: fresh questions from a seed, parts that equal the whole, errors that name the way out."""

from dataclasses import replace

import pytest

from tempo_lib.evaluation.suites import SUITES, load_suite, suite_numbers
from tempo_lib.presets import load_preset
from tempo_lib.world.questions import ask_all, is_correct

NUMBERS = replace(
    suite_numbers(load_preset("tiny")),
    num_videos=3,
    questions_per_video=2,
    longest_mean_frames=200,
    size=32,
)
NAME = "mini-longvideobench"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("suites")


@pytest.fixture(scope="module")
def suite(root):
    return load_suite("tiny", NAME, world_seed=3, root=root, numbers=NUMBERS)


def test_a_suite_holds_what_its_numbers_say(suite):
    assert len(suite.videos) == 3
    assert suite.num_questions == 6
    assert len({question.id for video in suite.videos for question in video.questions}) == 6
    assert all(video.path.is_file() for video in suite.videos)


def test_every_question_is_one_its_story_can_answer(suite):
    for video in suite.videos:
        possible = {(q.text, q.answer, q.interval) for q in ask_all(video.story, suite.window)}
        for question in video.questions:
            assert (question.asked.text, question.asked.answer, question.asked.interval) in possible
            assert is_correct(question.asked, question.asked.answer)


def test_a_suite_is_built_once_and_read_again(suite, root):
    before = suite.videos[0].path.stat().st_mtime_ns
    again = load_suite("tiny", NAME, world_seed=3, root=root, numbers=NUMBERS)
    assert again == suite
    assert again.videos[0].path.stat().st_mtime_ns == before


def test_a_part_of_a_suite_has_the_same_videos_and_questions_as_the_whole(suite, tmp_path):
    part = load_suite("tiny", NAME, 3, num_questions=3, root=tmp_path, numbers=NUMBERS)
    assert [len(video.questions) for video in part.videos] == [2, 1]
    for one, other in zip(part.videos, suite.videos, strict=False):
        assert (one.id, one.sha256, one.story) == (other.id, other.sha256, other.story)
        assert one.questions == other.questions[: len(one.questions)]
    assert part.identity == suite.identity
    assert part.data_hash != suite.data_hash


def test_a_part_is_read_from_the_whole_where_that_is_built(suite, root):
    part = load_suite("tiny", NAME, 3, num_questions=2, root=root, numbers=NUMBERS)
    assert part.videos[0].path == suite.videos[0].path


def test_another_world_seed_gives_other_questions(suite, root):
    other = load_suite("tiny", NAME, 4, num_questions=2, root=root, numbers=NUMBERS)
    assert other.videos[0].story != suite.videos[0].story
    assert other.identity != suite.identity


def test_more_questions_than_there_are_give_the_whole_suite(suite, root):
    assert load_suite("tiny", NAME, 3, num_questions=999, root=root, numbers=NUMBERS) == suite


def test_an_unknown_suite_is_answered_with_the_four_known_ones(tmp_path):
    with pytest.raises(
        ValueError, match=f"unknown suite 'mlvu'; known suites: {', '.join(SUITES)}"
    ):
        load_suite("tiny", "mlvu", root=tmp_path)
    assert len(SUITES) == 4


def test_the_papers_preset_says_that_it_has_no_suites_here(tmp_path):
    with pytest.raises(ValueError, match=r"preset 6b has no suites.*--preset tiny"):
        load_suite("6b", NAME, root=tmp_path)


def test_a_preset_overrides_the_numbers_and_nothing_else():
    tiny = load_preset("tiny")
    sizes = {**tiny.miniature["suites"], "num_videos": 7, "kinds": ["needle", "after"]}
    given = {**tiny.miniature, "suites": sizes}
    numbers = suite_numbers(tiny.model_copy(update={"miniature": given}))
    assert numbers == replace(suite_numbers(tiny), num_videos=7, kinds=("needle", "after"))
    for change, words in (({"videos": 7}, "unknown videos"), ({}, "missing crf")):
        wrong = {**tiny.miniature["suites"], **change}
        wrong.pop("crf")
        with pytest.raises(ValueError, match=f"numbers of suites: {words}"):
            suite_numbers(
                tiny.model_copy(update={"miniature": {**tiny.miniature, "suites": wrong}})
            )


def test_a_negative_number_of_questions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got -1"):
        load_suite("tiny", NAME, num_questions=-1, root=tmp_path)
