"""What variants share is computed once: decoding, vision, compression, equal answers."""

from pathlib import Path

import pytest
import torch
from evaluation_samples import brief, first_video, other_scorers, run, small_suite

from tempo_lib.evaluation import clip as clip_module
from tempo_lib.evaluation.clip import SharedFrames
from tempo_lib.model.compressor import Compressor
from tempo_lib.model.processing import segment_pixels
from tempo_lib.model.session import VideoSession
from tempo_lib.video.clip import load_video


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return small_suite(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def one_video(suite):
    return first_video(suite)


@pytest.fixture(scope="module")
def brief_tempo(make_tiny_tempo):
    return brief(make_tiny_tempo())


@pytest.fixture(scope="module")
def scorers(make_tiny_tempo):
    return other_scorers(make_tiny_tempo)


def test_a_question_is_compressed_once_for_all_variants_with_its_prompt(
    brief_tempo, one_video, monkeypatch
):
    compressed = []
    real = VideoSession.compress

    def counted(self, question, *how):
        compressed.append((question, *how))
        return real(self, question, *how)

    monkeypatch.setattr(VideoSession, "compress", counted)
    run(
        brief_tempo, one_video, ["ata", "top-k", "head-fixed", "merge", "no-ata", "prior-tempo-std"]
    )
    assert len(compressed) == 2 * one_video.num_questions  # once routing, once standard


def test_a_video_is_decoded_once_and_encoded_once_by_each_tower(
    brief_tempo, one_video, scorers, monkeypatch
):
    read, seen = [], []
    real_read, real_vision = clip_module.load_video, Compressor.encode_vision
    monkeypatch.setattr(
        clip_module, "load_video", lambda path, **k: read.append(path) or real_read(path, **k)
    )
    monkeypatch.setattr(
        Compressor, "encode_vision", lambda self, *a: seen.append(self) or real_vision(self, *a)
    )
    names = ["ata", "top-k-matched", "prior-base-std", "prior-base-route", "prior-tempo-std"]
    run(brief_tempo, one_video, names, scorers=scorers)
    assert read == [one_video.videos[0].path]
    assert seen == [brief_tempo.compressor, scorers["base"].compressor]
    run(brief_tempo, one_video, ["ata", "uniform", "ata-f16-b20"])
    assert [path for path in read if isinstance(path, Path)] == [one_video.videos[0].path] * 2


def test_two_compressors_read_the_file_once(brief_tempo, one_video, make_tiny_tempo, monkeypatch):
    read, opened = [], []
    real_read, real_open = clip_module.load_video, VideoSession.__init__
    monkeypatch.setattr(
        clip_module, "load_video", lambda path, **k: read.append(path) or real_read(path, **k)
    )
    monkeypatch.setattr(
        VideoSession, "__init__", lambda self, *a, **k: opened.append(a) or real_open(self, *a, **k)
    )
    other = brief(make_tiny_tempo(1))
    run(brief_tempo, one_video, ["no-ata", "without-stage3"], models={"stage2": other})
    assert len(opened) == 2
    assert read == [one_video.videos[0].path]


def test_fewer_frames_of_the_decoded_clip_are_those_that_the_file_gives(brief_tempo, one_video):
    shared = SharedFrames(one_video.videos[0])
    rules, shape = brief_tempo.config.pixel_rules, brief_tempo.patch_shape
    for num_frames in (8, 24):
        ours = shared.at(brief_tempo, num_frames)
        theirs = load_video(one_video.videos[0].path, max_frames=num_frames)
        cut = segment_pixels(ours, rules, shape, 8, 8, is_sized=True)
        assert torch.equal(
            cut.pixel_rows_PC, segment_pixels(theirs, rules, shape, 8, 8).pixel_rows_PC
        )
        assert ours.seconds.tolist() == pytest.approx(theirs.seconds.tolist(), abs=1e-9)
        assert ours.fps == pytest.approx(theirs.fps)


def test_stages_with_one_compressor_share_its_compression(
    make_tiny_tempo, brief_tempo, one_video, monkeypatch
):
    stage2 = make_tiny_tempo()
    stage2.config.max_new_tokens = 2
    with torch.no_grad():
        stage2.decoder.model.norm.weight.mul_(2.0)
    compressed = []
    real = VideoSession.compress
    monkeypatch.setattr(VideoSession, "compress", lambda *a: compressed.append(a) or real(*a))
    run(brief_tempo, one_video, ["no-ata", "without-stage3"], models={"stage2": stage2})
    assert len(compressed) == one_video.num_questions


def test_equal_counts_are_decoded_once(brief_tempo, one_video, monkeypatch):
    decoded = []
    real = clip_module.decode_many
    monkeypatch.setattr(clip_module, "decode_many", lambda *a: decoded.extend(a[2]) or real(*a))
    made = run(brief_tempo, one_video, ["ata-f4096-b9000", "ata-f1024-b9000"])
    assert len(decoded) == one_video.num_questions
    half = len(made) // 2
    assert [r.prediction for r in made[:half]] == [r.prediction for r in made[half:]]


def test_a_sweep_reads_no_more_frames_than_its_cap(brief_tempo, one_video):
    (record, *_) = run(brief_tempo, one_video, ["ata-f16-b20"])
    assert (record.num_frames, record.budget, record.num_segments) == (16, 20, 2)
    assert record.tokens_used <= 20
