import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tempo_lib import figures, load_preset
from tempo_lib.evaluation.published import load_published
from tempo_lib.figures.groups import SCHEMES
from tempo_lib.figures.style import STYLES, new_figure
from tempo_lib.figures.timeline import key_segments
from tempo_lib.figures.training import smoothed
from tempo_lib.model.tempo import Answer
from tempo_lib.provenance import start_run
from tempo_lib.video.clip import Video


def answer_of(counts, text="The red star 47."):
    num_segments = len(counts)
    return Answer(
        text=text,
        token_ids=[1],
        counts=torch.tensor(counts),
        scores=torch.linspace(0, 1, num_segments),
        seconds=torch.arange(num_segments, dtype=torch.float64) * 4 + 2,
        budget=512,
    )


def video_of(num_frames):
    """Frame t is filled with the value t, so that it can be recognised."""
    frames_THW3 = np.empty((num_frames, 8, 12, 3), np.uint8)
    frames_THW3[:] = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    return Video(frames_THW3)


def bar_axes(fig):
    return next(ax for ax in fig.axes if ax.get_ylabel().startswith("memory tokens"))


def bar_heights(fig):
    """Height of the bar at every segment's centre, from left to right."""
    bars = sorted(bar_axes(fig).patches, key=lambda bar: bar.get_x())
    return [bar.get_height() for bar in bars]


def table_of(kinds=("all", "needle", "global")):
    rows = []
    for place, variant in enumerate(SCHEMES):
        for kind in kinds:
            accuracy = 0.5 + place / 20
            interval = {"low": accuracy - 0.1, "high": accuracy + 0.1}
            rows.append(
                {"variant": variant, "kind": kind, "n": 40, "accuracy": accuracy} | interval
            )
    return pd.DataFrame(rows)


def losses_of(num_steps):
    return pd.DataFrame({"step": range(num_steps), "loss": np.linspace(2, 1, num_steps)})


def texts_of(fig):
    return [text.get_text() for text in fig.findobj(lambda artist: hasattr(artist, "get_text"))]


# -- allocation -----------------------------------------------------------------------------


def test_allocation_draws_one_bar_per_segment_with_its_tokens():
    counts = [2, 16, 9, 2, 3]
    assert bar_heights(figures.allocation(answer_of(counts))) == counts


def test_allocation_colours_segments_above_the_middle_of_k_min_and_k_max():
    fig = figures.allocation(answer_of([2, 9, 10, 16]), k_min=2, k_max=16)
    bars = sorted(bar_axes(fig).patches, key=lambda bar: bar.get_x())
    few, many = bars[0].get_facecolor(), bars[3].get_facecolor()
    assert few != many
    assert [bar.get_facecolor() for bar in bars] == [few, few, many, many]


def test_allocation_spans_the_video_in_seconds():
    ax = bar_axes(figures.allocation(answer_of([2, 3, 4])))
    assert ax.get_xlim() == (0, 12)
    assert "seconds" in ax.get_xlabel()


def test_allocation_names_question_answer_cost_and_preset():
    fig = figures.allocation(answer_of([2, 16]), question="Which number?", preset="tiny")
    words = "\n".join(texts_of(fig))
    for part in ("Which number?", "The red star 47.", "18 of 512", "2 segments", "miniature"):
        assert part in words
    assert "Which number?" in fig.alt_text and "18 of 512" in fig.alt_text


def test_allocation_shows_dollar_signs_as_they_are(tmp_path):
    fig = figures.allocation(answer_of([2]), question="Is $5 more than $4_{?")
    fig.savefig(tmp_path / "x.png")
    assert "Is $5 more than $4_{?" in texts_of(fig)


def test_allocation_survives_control_characters_in_an_answer(tmp_path):
    fig = figures.allocation(answer_of([2], text="one\x03\ntwo\x00"), question="a\tb")
    fig.savefig(tmp_path / "x.svg")
    assert "Prediction: one two" in fig.alt_text and "Question: a b" in fig.alt_text
    assert "\x03" not in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_allocation_puts_key_frames_of_a_video_above_the_bars():
    fig = figures.allocation(answer_of([2] * 15 + [16] * 5), video_of(160))
    shown = [image for ax in fig.findobj(type(fig.axes[0])) for image in ax.images]
    assert len(shown) == 7


def test_allocation_refuses_an_answer_without_segments():
    with pytest.raises(ValueError, match="no segments"):
        figures.allocation(answer_of([]))


def test_key_segments_takes_the_fullest_segment_of_each_stretch():
    counts_N = np.full(80, 2)
    counts_N[[3, 17, 79]] = 16
    chosen = key_segments(counts_N, np.linspace(0, 1, 80))
    assert len(chosen) == 10
    assert {3, 17, 79} <= set(chosen)
    assert chosen[1] == 15  # equal counts: the highest score of its stretch


@pytest.mark.parametrize("num_segments", [1, 2, 6, 7, 8, 40, 128, 1000])
def test_key_segments_are_in_order_and_never_more_than_ten(num_segments):
    chosen = key_segments(np.ones(num_segments), np.ones(num_segments))
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= min(num_segments, 10)


# -- loss curves ----------------------------------------------------------------------------


def test_loss_curves_has_a_panel_per_stage_that_says_what_trains():
    fig = figures.loss_curves({stage: losses_of(50) for stage in range(4)}, load_preset("tiny"))
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert [title.split(":")[0] for title in titles] == [f"Stage {stage}" for stage in range(4)]
    assert "trains memory tokens and projector" in titles[0]
    assert "trains all parts" in titles[2]
    assert titles[3].endswith("trains decoder")
    assert "Stage 3: from 2.00 to" in fig.alt_text


def test_loss_curves_says_where_a_stage_has_no_losses():
    fig = figures.loss_curves({1: losses_of(5)}, load_preset("tiny"))
    assert texts_of(fig).count("no losses recorded") == 3
    assert "Stage 0 has no recorded losses." in fig.alt_text


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_loss_curves_refuses_what_a_log_axis_cannot_hold(bad):
    losses = losses_of(5).replace(1.0, bad)
    with pytest.raises(ValueError, match="Stage 2 has a loss"):
        figures.loss_curves({2: losses}, load_preset("tiny"))


def test_smoothed_is_the_mean_of_a_twentieth_of_the_steps_and_never_looks_ahead():
    losses = pd.Series(np.arange(60.0))
    losses[30] += 30
    mean = smoothed(losses)  # width 3
    assert mean[29] == pytest.approx(28)  # the jump at 30 is not there yet
    assert mean[30] == pytest.approx(29 + 10)
    assert mean[33] == pytest.approx(32)
    assert smoothed(pd.Series([3.0, 1.0])).tolist() == [3.0, 1.0]


# -- head against tail ----------------------------------------------------------------------


def test_head_against_tail_draws_every_accuracy_with_its_interval():
    table = table_of()
    ax = figures.head_against_tail(table).axes[0]
    points = {line.get_label(): line.get_ydata() for line in ax.lines}
    for variant in SCHEMES:
        expected = table[table["variant"] == variant]["accuracy"]
        np.testing.assert_allclose(points[STYLES[variant].label], expected)
    segments = np.concatenate([lines.get_segments() for lines in ax.collections])
    ends = sorted((low[1], high[1]) for low, high in segments)
    np.testing.assert_allclose(ends, sorted(zip(table["low"], table["high"], strict=True)))


def test_head_against_tail_labels_groups_with_their_size():
    ax = figures.head_against_tail(table_of()).axes[0]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["all\nn = 40", "needle\nn = 40", "global\nn = 40"]


def test_head_against_tail_keeps_published_numbers_in_a_panel_of_their_own():
    paper = load_published("table2c")
    ours, theirs = figures.head_against_tail(
        table_of(), paper, preset="tiny", suite="mini-mlvu"
    ).axes
    assert "mini-mlvu (miniature)" in ours.get_title(loc="left")
    assert theirs.get_title(loc="left").startswith("Published, Tempo-6B")
    drawn = {line.get_label(): line.get_ydata().tolist() for line in theirs.lines}
    assert drawn[STYLES["ata"].label] == [65.1, 75.2, 67.7, 57.0, 52.3]


def test_head_against_tail_refuses_a_variant_it_has_no_style_for():
    table = table_of().replace("merge", "top-k")
    with pytest.raises(ValueError, match="top-k"):
        figures.head_against_tail(table)


# -- style ----------------------------------------------------------------------------------


def test_a_saved_figure_carries_its_description(tmp_path):
    fig = figures.allocation(answer_of([2, 16]), question="Wer ist es?")
    fig.savefig(tmp_path / "x.png")
    fig.savefig(tmp_path / "x.svg")
    fig.savefig(tmp_path / "x.pdf", metadata={"CreationDate": None})
    assert Image.open(tmp_path / "x.png").text["Description"] == fig.alt_text
    assert "Wer ist es?" in (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert b"/Subject" in (tmp_path / "x.pdf").read_bytes()


def test_a_run_saves_the_description_beside_the_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    run = start_run("fig", preset="tiny", seed=0)
    fig = figures.allocation(answer_of([2, 16]))
    run.record("alt_text", fig.alt_text)
    folder = run.save(fig, pd.DataFrame({"tokens": [2, 16]}))
    assert json.loads((folder / "fig.json").read_text())["alt_text"] == fig.alt_text
    assert Image.open(folder / "fig.png").text == {"Description": fig.alt_text}


def test_equal_figures_give_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        figures.allocation(answer_of([2, 16])).savefig(tmp_path / name, metadata={"Software": None})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_notebook_shows_the_picture_and_its_description():
    fig = figures.allocation(answer_of([2, 16]))
    shown, metadata = fig._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG")
    assert shown["text/plain"] == metadata["image/png"]["alt"] == fig.alt_text


def test_a_figure_without_description_is_refused():
    with pytest.raises(ValueError, match="alt_text"), new_figure(2) as fig:
        fig.subplots()


def test_text_is_at_least_twelve_points_and_the_figure_ten_inches_wide():
    paper = pd.DataFrame({"benchmark": ["MLVU"], "variant": ["ata"], "value": [75.2]})
    drawn = [
        figures.allocation(answer_of([2, 16]), video_of(16), "Which?", k_min=2, k_max=16),
        figures.loss_curves({0: losses_of(5)}, load_preset("tiny")),
        figures.head_against_tail(table_of(), paper),
    ]
    for fig in drawn:
        assert fig.get_figwidth() == 10
        sizes = [t.get_fontsize() for t in fig.findobj(lambda a: hasattr(a, "get_fontsize"))]
        assert min(sizes) >= 12


def test_figures_load_no_torch():
    code = "import sys, tempo_lib.figures; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_labels_of_a_wide_loss_axis_do_not_touch():
    steps = pd.DataFrame({"step": range(60), "loss": np.geomspace(3, 2e-5, 60)})
    fig = figures.loss_curves(dict.fromkeys(range(4), steps), load_preset("tiny"))
    fig.draw_without_rendering()
    for ax in fig.axes:
        low, high = ax.get_ylim()
        ticks = [tick for tick in ax.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        ends = sorted((box.y0, box.y1) for box in boxes)
        assert len(ends) > 3 and all(a[1] < b[0] for a, b in itertools.pairwise(ends))
