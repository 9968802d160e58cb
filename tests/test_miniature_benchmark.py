"""Suites: fresh questions from a seed, parts that equal the whole, errors that name the way out."""

from collections import Counter
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import yaml

from tempo_lib import prompts
from tempo_lib.config import load_preset
from tempo_lib.evaluation.benchmark import load_benchmark
from tempo_lib.miniature.benchmark import SUITES, suite_budgets, suite_numbers, suite_spec
from tempo_lib.miniature.manifests import FOLDER
from tempo_lib.miniature.pretrain import base_compressor_data, base_decoder_data
from tempo_lib.miniature.pretrain.base_decoder_data import Curriculum
from tempo_lib.miniature.world.corpus_specs import questions_of, story_of, suite_corpus
from tempo_lib.miniature.world.questions import all_questions, is_correct
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.miniature.world.tokenizer import LAST_SECOND, build_tokenizer
from tempo_lib.model.processing import TextEncoder
from tempo_lib.provenance import manifest_path

TINY = load_preset("tiny")
NUMBERS = replace(
    suite_numbers(TINY),
    num_questions=9,
    frames_per_second=0.17,
    size=64,  # below that, the bytes of a clip may differ: see write_clip
)
NAME = "mini-longvideobench"


def load(root, **options):
    """A part of the suite at a small size."""
    options = {"world_seed": 3, "numbers": NUMBERS, **options}
    return load_benchmark("tiny", NAME, root=root, **options)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("suites")


@pytest.fixture(scope="module")
def suite(root):
    return load(root)


def test_a_suite_holds_what_its_numbers_say(suite):
    assert [len(video.questions) for video in suite.videos] == [3, 3, 3]
    assert suite.num_questions == 9
    assert len({question.id for video in suite.videos for question in video.questions}) == 9
    assert all(video.path.is_file() for video in suite.videos)


def test_every_question_is_one_its_story_can_answer(suite):
    for video in suite.videos:
        story = suite.story(video)
        possible = {(q.text, q.actors, q.interval): q for q in all_questions(story, NUMBERS.window)}
        for question in video.questions:
            of_world = suite.world_questions[question.id]
            text = of_world.text.split("\n")[0]
            known = possible[text, of_world.actors, of_world.interval]
            if not of_world.options:
                assert of_world == known
            assert any(is_correct(known, option) for option in of_world.options or (known.answer,))
            assert is_correct(of_world, of_world.answer)
            assert suite.score(question, question.answer)
            assert (question.text, question.group) == (of_world.text, of_world.kind)
    options = [q.options for video in suite.videos for q in video.questions]
    assert {len(listed) for listed in options} == {0, 4}


def test_a_suite_is_built_once_and_read_again(suite, root):
    before = suite.videos[0].path.stat().st_mtime_ns
    again = load(root)
    assert again == suite
    assert again.videos[0].path.stat().st_mtime_ns == before


def test_a_part_of_a_suite_has_the_same_videos_and_questions_as_the_whole(suite, tmp_path):
    part = load_benchmark(
        "tiny", NAME, world_seed=3, num_questions=5, root=tmp_path, numbers=NUMBERS
    )
    assert [len(video.questions) for video in part.videos] == [3, 2]
    for one, other in zip(part.videos, suite.videos, strict=False):
        assert (one.id, one.sha256, part.story(one)) == (other.id, other.sha256, suite.story(other))
        assert one.questions == other.questions[: len(one.questions)]
    assert part.identity == suite.identity
    assert part.data_hash != suite.data_hash


def test_a_part_is_read_from_the_whole_where_that_is_built(suite, root):
    part = load(root, num_questions=2)
    assert part.videos[0].path == suite.videos[0].path


def test_another_world_seed_gives_other_questions(suite, root):
    other = load(root, world_seed=4, num_questions=2)
    assert other.story(other.videos[0]) != suite.story(suite.videos[0])
    assert other.identity != suite.identity


def test_more_questions_than_there_are_give_the_whole_suite(suite, root):
    assert load(root, num_questions=999) == suite


def test_an_unknown_suite_is_answered_with_the_four_known_ones(tmp_path):
    with pytest.raises(ValueError, match=f"unknown suite 'mlvu'; known: {', '.join(SUITES)}"):
        load_benchmark("tiny", "mlvu", root=tmp_path)
    assert len(SUITES) == 4


def test_the_papers_preset_knows_the_real_benchmarks_alone(tmp_path):
    with pytest.raises(ValueError, match=rf"unknown suite '{NAME}'; known: longvideobench, mlvu"):
        load_benchmark("6b", NAME, root=tmp_path)


def test_a_preset_overrides_the_numbers_and_nothing_else():
    numbers = suite_numbers(load_preset("tiny", ["miniature.suites.num_questions=7"]))
    assert numbers == replace(suite_numbers(TINY), num_questions=7)
    with pytest.raises(ValueError, match=r"miniature\.suites\.videos: no such field"):
        load_preset("tiny", ["miniature.suites.videos=7"])
    with pytest.raises(ValueError, match=r"miniature\.suites\.crf: Field required"):
        load_preset("tiny", ["miniature.suites={num_questions: 7}"])


def test_a_negative_number_of_questions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got -1"):
        load_benchmark("tiny", NAME, num_questions=-1, root=tmp_path)


def draws(name, seed, first=None, numbers=None):
    """(story, questions) of a suite's videos, without painting them."""
    spec = suite_spec(name, suite_numbers(TINY) if numbers is None else numbers)
    (source,) = suite_corpus(spec).sources
    for index in range(spec.num_videos if first is None else first):
        story = story_of(name, source, seed, index)
        yield story, questions_of(name, source, seed, index, story)


@pytest.mark.parametrize("name", SUITES)
def test_the_budget_of_table_2_is_half_of_what_the_median_video_holds(name):
    numbers, bounds = suite_numbers(TINY), TINY.allocation
    budgets = dict(suite_budgets(suite_spec(name, numbers), numbers, TINY))
    read = [min(story.num_frames, TINY.video.max_frames) for story, _ in draws(name, 0)]
    whole = median(-(-frames // TINY.video.window) for frames in read) * bounds.k_max
    assert budgets["8K"] < whole, "the median video fits the budget: nothing has to be chosen"
    for role, share in numbers.budget_shares.items():
        assert budgets[role] == pytest.approx(share * whole, rel=0.03)
    assert bounds.budget == TINY.video.max_frames / TINY.video.window * bounds.k_max / 2


def test_the_cap_binds_where_it_does_in_the_paper():
    cap = TINY.video.max_frames
    lengths = {name: [story.num_frames for story, _ in draws(name, 0)] for name in SUITES}
    assert max(lengths["mini-longvideobench"]) <= cap < min(lengths["mini-mlvu"])
    assert min(lengths["mini-lvbench"]) > 1.4 * cap
    short, medium, long = (lengths["mini-videomme"][part::3] for part in range(3))
    assert max(short) < cap / 5 < cap < min(medium) < max(medium) < min(long)
    assert max(max(frames) for frames in lengths.values()) / 2 <= LAST_SECOND


def test_video_mme_has_three_durations_that_its_questions_name(tmp_path):
    numbers = replace(NUMBERS, num_questions=18, most_questions=3)
    suite = load_benchmark("tiny", "mini-videomme", root=tmp_path, numbers=numbers)
    found = [{dict(q.tags)["duration"] for q in video.questions} for video in suite.videos]
    assert found == [{("short",)}, {("medium",)}, {("long",)}] * 2
    lengths = [video.num_frames for video in suite.videos[:3]]
    assert lengths == sorted(lengths) and len(set(lengths)) == 3


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_suite_shows_the_mix_of_its_benchmark(name, seed):
    mix = suite_spec(name, suite_numbers(TINY)).mix
    drawn = [questions for _, questions in draws(name, seed)]
    kinds = Counter(question.kind for questions in drawn for question in questions)
    shares = {kind: kinds[kind] / kinds.total() for kind in mix.kinds}
    assert kinds.total() >= 200
    assert set(kinds) == set(mix.kinds)
    assert shares == pytest.approx(mix.shares(), abs=0.08)
    assert all(3 <= len(questions) <= 15 for questions in drawn)
    assert {len(questions) for questions in drawn} <= {number for number, _ in mix.per_story}
    listed = sum(bool(question.options) for questions in drawn for question in questions)
    assert listed / kinds.total() == pytest.approx(0.5, abs=0.08)


def test_a_suite_of_long_videos_asks_more_of_fewer():
    numbers = suite_numbers(TINY)
    videos = {name: suite_spec(name, numbers).num_videos for name in SUITES}
    assert videos["mini-lvbench"] < 20 < 60 < min(videos[name] for name in SUITES[:3])


@pytest.mark.parametrize("name", SUITES)
def test_a_part_takes_as_many_videos_as_its_questions_need(name):
    from tempo_lib.miniature import benchmark

    spec = suite_spec(name, suite_numbers(TINY))
    counts = [len(questions) for _, questions in draws(name, 5)]
    for wanted in (1, counts[0], counts[0] + 1, sum(counts[:4]), sum(counts), sum(counts) + 1):
        needed = benchmark._num_videos(spec, 5, wanted)
        assert sum(counts[:needed]) >= min(wanted, sum(counts))
        assert needed == 1 or sum(counts[: needed - 1]) < wanted


def test_another_mix_share_of_options_or_bound_gives_a_suite_of_another_identity(
    suite, root, tmp_path
):
    path = f"{NAME}.yaml"
    manifest = yaml.safe_load(manifest_path(f"{FOLDER}/{path}").read_text(encoding="utf-8"))
    manifest["types"]["S2E"]["kinds"] = ["attribute"]
    count = manifest["types"]["S2E"]["count"]
    manifest["kinds"]["needle"] -= count
    manifest["kinds"]["attribute"] += count
    (tmp_path / path).write_text(yaml.safe_dump(manifest), encoding="utf-8")
    others = [
        load(root, manifests=tmp_path, num_questions=1),
        load(root, numbers=replace(NUMBERS, choice_share=0.4), num_questions=1),
        load(root, numbers=replace(NUMBERS, fewest_questions=2), num_questions=1),
    ]
    assert len({suite.identity, *(other.identity for other in others)}) == 4
    assert {other.story(other.videos[0]) for other in others} == {suite.story(suite.videos[0])}


def pairs(story, questions):
    """(scenes, question): what a model could have learned by heart."""
    return {(story.scenes, question.text.split("\n")[0]) for question in questions}


@pytest.fixture(scope="module")
def suite_pairs():
    """Pairs of the first videos of every suite and several world seeds."""
    return {
        (name, seed): set().union(*(pairs(*drawn) for drawn in draws(name, seed, first=24)))
        for name in SUITES
        for seed in (0, 1, 2, 9000)
    }


def test_no_suite_shares_a_question_on_a_video_with_a_training_corpus(suite_pairs):
    """A leak is an equal pair of a story's scenes and a question about it.

    Questions and answers alone recur and must: there are only so many places that can be seen
    most. What must not recur is the video that they are about.
    """
    training = set()
    for corpus in TINY.miniature.corpora.values():
        for source in corpus.sources:
            for seed in (0, 1):
                for index in range(40):
                    story = story_of(corpus.name, source, seed, index)
                    training |= pairs(story, all_questions(story, source.window))
    assert len(training) > 1000
    for found in suite_pairs.values():
        assert len(found) > 50
        assert found.isdisjoint(training)


def test_suites_and_world_seeds_share_no_question_on_a_video_with_each_other(suite_pairs):
    every = [pair for found in suite_pairs.values() for pair in found]
    assert len(set(every)) == len(every)


def test_no_suite_shares_a_story_with_the_pools_of_the_base_models(suite_pairs, monkeypatch):
    """Same leak, compared by scenes alone: the pools' stories are recorded as they are drawn."""
    drawn = []

    def recorded(*arguments, **options):
        drawn.append(make_story(*arguments, **options))
        return drawn[-1]

    for module in (base_compressor_data, base_decoder_data):
        monkeypatch.setattr(module, "make_story", recorded)
    pool, config = TINY.miniature.base_compressor, TINY.miniature.base_decoder
    base_compressor_data.make_pool(replace(pool, num_stories=24), TINY.pixels, 16, seed=0)
    text = TextEncoder(build_tokenizer(prompts.all_texts()))
    curriculum = Curriculum(float(config.last_segments))
    for step in range(12):
        rng = np.random.default_rng([0, step])
        base_decoder_data.draw_batch(rng, text, config, curriculum, step)
    scenes = {story.scenes for story in drawn}
    assert len(scenes) > 24 + 12
    for found in suite_pairs.values():
        assert scenes.isdisjoint({story for story, _ in found})
