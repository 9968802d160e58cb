"""Kinds of tokens agree with the sequences that the models really read."""

from collections import Counter

import numpy as np
import pytest

from tempo_lib.analysis.token_sequences import compressor_kinds, decoder_kinds, runs
from tempo_lib.config import load_preset
from tempo_lib.figures.architecture import ARROWS, COLOURS, token_strips, way_of_a_question
from tempo_lib.model.compressor import pad_rows
from tempo_lib.video.clip import Video

QUESTION = "Which number is shown with the red star?"


@pytest.fixture(scope="module")
def video():
    frames = np.random.default_rng(0).integers(0, 256, (20, 48, 48, 3), dtype=np.uint8)
    return Video(frames, fps=2.0)


@pytest.mark.parametrize(("segment", "pairs"), [(0, 4), (2, 2)])
def test_the_compressor_reads_prompt_video_question_memories(tiny_tempo, video, segment, pairs):
    session = tiny_tempo.open(video)
    kinds = compressor_kinds(tiny_tempo, session, QUESTION, segment)
    count = Counter(kinds)
    assert [kind for kind, _ in runs(kinds)][-2:] == ["question", "memory"]
    assert count["memory"] == tiny_tempo.compressor.num_memory_tokens
    assert count["vision"] == pairs * (9 + 2)  # 3x3 merged patches and their two ends
    assert len([kind for kind, _ in runs(kinds) if kind == "timestamp"]) == pairs


def test_the_compressor_reads_as_many_tokens_as_are_named(tiny_tempo, video, monkeypatch):
    from tempo_lib.model import session as module

    lengths = []

    def seen(rows, device):
        lengths.extend(map(len, rows))
        return pad_rows(rows, device)

    monkeypatch.setattr(module, "pad_rows", seen)
    session = tiny_tempo.open(video, keep_prefix=False)
    session.compress(QUESTION)
    named = [compressor_kinds(tiny_tempo, session, QUESTION, i) for i in range(3)]
    num_memory = tiny_tempo.compressor.num_memory_tokens
    assert [len(kinds) - num_memory for kinds in named] == lengths


def test_the_decoder_reads_what_was_kept_behind_its_timestamps(tiny_tempo, video):
    answer = tiny_tempo.open(video).ask(QUESTION, budget=20, max_new_tokens=1)
    kinds = decoder_kinds(tiny_tempo, answer, QUESTION)
    kept = [number for kind, number in runs(kinds) if kind == "memory"]
    assert kept == [count for count in answer.counts.tolist() if count]
    assert [kind for kind, _ in runs(kinds)][:2] == ["prompt", "timestamp"]
    assert runs(kinds)[-1][0] == "question"


def test_runs_count_neighbours():
    assert runs(["a", "a", "b", "a"]) == [("a", 2), ("b", 1), ("a", 1)]
    assert runs([]) == []


def test_strips_draw_a_cell_for_every_token_and_say_how_many():
    fig = token_strips({"short": ["prompt", "memory"], "long": ["vision"] * 130}, preset="tiny")
    assert "short: 1 prompt, 1 memory; long: 130 vision" in fig.alt_text
    assert [len(ax.patches) for ax in fig.axes] == [2, 130]
    assert set(COLOURS) == {"prompt", "timestamp", "vision", "question", "memory"}


@pytest.mark.parametrize(("preset", "words"), [("tiny", "32 memories"), ("6b", "128 memories")])
def test_the_way_has_the_presets_numbers_and_every_arrow(preset, words):
    fig = way_of_a_question(load_preset(preset))
    (ax,) = fig.axes
    assert any(words in text.get_text() for text in ax.texts)
    assert len(ax.patches) == len(ax.texts) + len(ARROWS)
    assert "compressor to scores" in fig.alt_text
