from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from tempo_lib.config import load_preset
from tempo_lib.miniature.world.corpus_specs import (
    CorpusSpec,
    SourceSpec,
    SuiteSpec,
    suite_corpus,
    suite_frames,
)
from tempo_lib.miniature.world.mixes import QuestionMix

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
    mean_frames=40,
    jitter=0.15,
    window=8,
    size=64,
    crf=30,
)


def test_suites_keep_the_ratio_of_the_benchmarks():
    frames = suite_frames(768)
    assert frames == {
        "mini-longvideobench": 88,
        "mini-mlvu": 122,
        "mini-videomme": 190,
        "mini-lvbench": 768,
    }
    with pytest.raises(ValueError, match="unknown suite"):
        suite_corpus(replace(SUITE, name="mini-other"))


def test_a_suite_is_one_source_of_long_videos_around_the_mean():
    (source,) = suite_corpus(SUITE).sources
    assert (source.min_frames, source.max_frames) == (34, 46)
    assert (source.num_stories, source.questions_per_story, source.window) == (3, 0, 8)
    assert (source.mix, source.choice_share) == (MIX, 0.5)
    assert source.details


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
