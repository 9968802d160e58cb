"""Stories and questions by seed: each source has its own, and none depends on its neighbours."""

from dataclasses import replace
from statistics import mean

import pytest
from pydantic import TypeAdapter

from tempo_lib.config import load_preset
from tempo_lib.miniature.world.corpus_specs import (
    SUITE_DURATIONS,
    SUITE_SECONDS,
    CorpusSpec,
    SourceSpec,
    SuiteSpec,
    duration_of,
    generator,
    namespace,
    questions_of,
    story_of,
    suite_corpus,
    suite_lengths,
)
from tempo_lib.miniature.world.question_sets import QuestionMix
from tempo_lib.miniature.world.questions import all_questions

CLIPS = SourceSpec(
    name="clips",
    modality="video",
    num_stories=3,
    min_frames=12,
    max_frames=20,
    frame_step=4,
    window=4,
    questions_per_story=4,
    captions=False,
)
SPEC = CorpusSpec(name="stage2", size=64, crf=30, sources=(CLIPS,))
MIX = QuestionMix(kind_weights=(("needle", 2.0), ("global", 1.0)), per_story=((5, 1),))
SUITE = SuiteSpec(
    name="mini-mlvu",
    num_videos=3,
    mix=MIX,
    choice_share=0.5,
    lengths=(("", 40),),
    jitter=0.15,
    window=8,
    size=64,
    crf=30,
)


def test_suites_follow_the_seconds_of_the_benchmarks():
    frames = {name: suite_lengths(name, 1.0, 796) for name in SUITE_SECONDS}
    assert frames == {
        "mini-longvideobench": (("", 472),),
        "mini-mlvu": (("", 652),),
        "mini-videomme": (("short", 80), ("medium", 564), ("long", 796)),
        "mini-lvbench": (("", 796),),
    }
    for name, durations in SUITE_DURATIONS.items():
        assert round(mean(durations.values())) == SUITE_SECONDS[name]
    with pytest.raises(ValueError, match="unknown suite"):
        suite_corpus(replace(SUITE, name="mini-other"))


def test_a_suite_is_one_source_of_long_videos_around_the_mean():
    (source,) = suite_corpus(SUITE).sources
    assert (source.min_frames, source.max_frames) == (34, 46)
    assert (source.num_stories, source.questions_per_story, source.window) == (3, 0, 8)
    assert (source.mix, source.choice_share) == (MIX, 0.5)
    assert source.details


def test_a_suite_of_several_durations_takes_them_in_turn():
    lengths = (("short", 40), ("medium", 100), ("long", 200))
    spec = replace(SUITE, name="mini-videomme", lengths=lengths)
    (source,) = suite_corpus(spec).sources
    assert source.bands == ((34, 46), (84, 114), (170, 230))
    assert (source.min_frames, source.max_frames) == (34, 230)
    for index in range(6):
        low, high = source.bands[index % 3]
        assert low <= story_of("mini-videomme", source, 0, index).num_frames <= high
        assert duration_of("mini-videomme", index) == ("short", "medium", "long")[index % 3]
    assert duration_of("mini-mlvu", 1) == ""


def test_a_spec_is_read_from_plain_data():
    data = {
        "name": "stage2",
        "size": 64,
        "crf": 30,
        "sources": [
            {key: value for key, value in vars(source).items() if key not in ("kinds", "mix")}
            for source in SPEC.sources
        ],
    }
    assert TypeAdapter(CorpusSpec).validate_python(data) == SPEC
    data["sources"][0]["choice_share"] = 0.25
    assert TypeAdapter(CorpusSpec).validate_python(data).sources[0].choice_share == 0.25


def test_the_presets_corpora_are_specs():
    for name, corpus in load_preset("tiny").miniature.corpora.items():
        assert isinstance(corpus, CorpusSpec) and corpus.name == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_frames": 7}, "min_frames must be even"),
        ({"window": 3}, "window must be even"),
        ({"min_frames": 24}, "4 <= min_frames <= max_frames"),
        ({"modality": "image"}, "an image has 1 frame"),
        ({"choice_share": 1.5}, "choice_share must lie in 0..1, got 1.5"),
        ({"mix": MIX}, "a mix goes with 0 questions_per_story"),
    ],
)
def test_a_source_names_what_is_wrong_with_it(change, message):
    with pytest.raises(ValueError, match=f"source clips: .*{message}"):
        replace(CLIPS, **change)


def test_a_corpus_needs_sources_with_different_names():
    with pytest.raises(ValueError, match="sources with different names"):
        replace(SPEC, sources=(CLIPS, CLIPS))


def test_a_source_has_one_of_three_modalities():
    with pytest.raises(ValueError, match="'image', 'video' or 'text'"):
        replace(CLIPS, modality="audio")


LONGER_CLIPS = SourceSpec(
    name="clips",
    modality="video",
    num_stories=3,
    min_frames=32,
    max_frames=64,
    frame_step=8,
    window=4,
    questions_per_story=4,
    captions=False,
)


def asked_of(source, seed=0, index=0):
    return questions_of("stage2", source, seed, index, story_of("stage2", source, seed, index))


def test_a_story_does_not_depend_on_how_many_there_are():
    more = replace(LONGER_CLIPS, num_stories=900)
    for index in range(5):
        assert story_of("stage2", LONGER_CLIPS, 0, index) == story_of("stage2", more, 0, index)
        assert asked_of(LONGER_CLIPS, index=index) == asked_of(more, index=index)


def test_another_corpus_source_seed_or_index_gives_another_story():
    stories = [
        story_of("stage2", LONGER_CLIPS, 0, 0),
        story_of("stage3", LONGER_CLIPS, 0, 0),
        story_of("stage2", replace(LONGER_CLIPS, name="wide-clips"), 0, 0),
        story_of("stage2", LONGER_CLIPS, 1, 0),
        story_of("stage2", LONGER_CLIPS, 0, 1),
    ]
    assert len(set(stories)) == len(stories)


def test_the_share_of_options_changes_the_form_of_questions_and_nothing_else():
    for index in range(10):
        plain = asked_of(LONGER_CLIPS, index=index)
        for share in (0.5, 1.0):
            listed = asked_of(replace(LONGER_CLIPS, choice_share=share), index=index)
            assert [q.text.split("\n")[0] for q in listed] == [q.text for q in plain]
            assert sum(bool(q.options) for q in listed) == pytest.approx(share * 4)


def test_a_source_with_a_mix_asks_its_kinds_only():
    mix = QuestionMix(kind_weights=(("counting", 1.0), ("attribute", 1.0)), per_story=((2, 1),))
    source = replace(LONGER_CLIPS, mix=mix, questions_per_story=0)
    for index in range(10):
        asked = asked_of(source, index=index)
        assert {q.kind for q in asked} == {"counting", "attribute"}
        assert set(asked) <= set(all_questions(story_of("stage2", source, 0, index), 4))


def test_a_source_that_asks_nothing_has_no_questions():
    assert asked_of(replace(LONGER_CLIPS, questions_per_story=0)) == []


def test_every_shipped_source_has_its_own_namespace_and_none_is_a_likely_seed():
    names = {(name, "questions") for name in SUITE_SECONDS}
    for corpus in load_preset("tiny").miniature.corpora.values():
        names |= {(corpus.name, source.name) for source in corpus.sources}
    spaces = {namespace(corpus, source) for corpus, source in names}
    assert len(spaces) == len(names)
    # NumPy pads short keys with zeros: the base models' [seed, index] would be story 0 of a
    # source whose namespace is that seed, were seeds ever that large
    assert min(spaces) > 10**6


def test_a_seed_outside_32_bits_is_refused():
    with pytest.raises(ValueError, match="a seed must lie in"):
        generator("stage2", "clips", -1, 0, "story")
