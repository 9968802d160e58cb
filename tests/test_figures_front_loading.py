"""The four pictures of front-loading: what is drawn where, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from tempo_lib.figures import front_loading as pictures

KS = (1, 2, 4, 8, 16)
SCHEMES = ("head", "tail", "every", "random", "merge")
CHECKPOINTS = ("base", "stage0", "stage1", "stage2", "stage3")
SHARES = {"patches": 0.4, "query": 0.3, "memory": 0.2, "prompt": 0.1}


def curves_of(schemes=SCHEMES):
    rows = [
        {"scheme": scheme, "k": k, "kind": kind, "n": 40}
        | {"accuracy": min(1, 0.3 + 0.04 * k - 0.05 * place), "low": 0.1, "high": 0.95}
        for place, scheme in enumerate(schemes)
        for k in KS
        for kind in ("all", "needle")
    ]
    return pd.DataFrame(rows)


def probes_of(attributes=("shape", "colour", "tens", "relevance"), positions=16):
    rows = [
        {"attribute": name, "position": position, "n": 90, "chance": 0.3}
        | {"accuracy": 0.25 + (positions - position) * (place + 1) / 100, "control": 0.25}
        for place, name in enumerate(attributes)
        for position in range(positions)
    ]
    return pd.DataFrame(rows)


def shares_of(positions=16, stories=3):
    rows = [
        {"story": story, "position": position, "target": target, "share": share}
        for story in range(stories)
        for position in range(positions)
        for target, share in SHARES.items()
    ]
    return pd.DataFrame(rows)


def stages_of():
    index = [np.nan, 0.02, 0.3, 0.42, 0.4]
    rows = [
        {"checkpoint": name, "n": 40, "num_videos": 9, "head": 0.2 * place, "tail": 0.1 * place}
        | {"index": value, "low": value - 0.1, "high": value + 0.1}
        for place, (name, value) in enumerate(zip(CHECKPOINTS, index, strict=True))
    ]
    return pd.DataFrame(rows)


def attention_of(positions=(0, 4, 10, 15)):
    frame = np.full((32, 32, 3), 160, dtype=np.uint8)
    maps = np.array([[[0.1, 0.2], [0.3, 0.4]]] * len(positions))
    return pictures.attention_over_frame(frame, maps, positions, shares_of(), preset="tiny")


FIGURES = {
    "curves": lambda: pictures.slice_curves(curves_of(), preset="tiny", suite="mini-mlvu"),
    "probes": lambda: pictures.probe_heat_map(probes_of(), preset="tiny"),
    "attention": attention_of,
    "stages": lambda: pictures.index_over_training(stages_of(), preset="tiny"),
}


@pytest.fixture(scope="module", params=FIGURES)
def figure(request):
    return FIGURES[request.param]()


def texts_of(artist):
    return [text.get_text() for text in artist.findobj(lambda part: hasattr(part, "get_text"))]


def test_every_picture_can_be_read_on_a_slide_and_aloud(figure):
    figure.draw_without_rendering()
    sizes = [text.get_fontsize() for text in figure.findobj(lambda p: hasattr(p, "get_fontsize"))]
    assert figure.get_figwidth() == 10 and min(sizes) >= 12
    assert figure.alt_text.endswith(".") and "nan" not in figure.alt_text
    assert any("(miniature)" in text for text in texts_of(figure))


def test_curves_draw_all_questions_once_per_scheme_at_every_k():
    ax = FIGURES["curves"]().axes[0]
    assert [line.get_label() for line in ax.lines] == [
        pictures.SCHEMES[name].label for name in SCHEMES
    ]
    overall = curves_of().query("kind == 'all'")
    for name, line in zip(SCHEMES, ax.lines, strict=True):
        assert line.get_ydata().tolist() == overall[overall["scheme"] == name]["accuracy"].tolist()
        assert line.get_xdata() == pytest.approx(np.array(KS), rel=0.1)
    looks = {(line.get_marker(), line.get_linestyle()) for line in ax.lines}
    assert len(looks) == len(SCHEMES)  # not by colour alone, but for head and tail


def test_curves_of_some_schemes_keep_their_styles_and_unknown_ones_are_refused():
    (line,) = pictures.slice_curves(curves_of(["tail"])).axes[0].lines
    assert line.get_color() == pictures.SCHEMES["tail"].colour
    with pytest.raises(ValueError, match=r"unknown schemes \['middle'\]; this figure knows head"):
        pictures.slice_curves(curves_of(["middle"]))


def test_the_heat_map_shows_points_above_the_control_in_the_given_order():
    ax = FIGURES["probes"]().axes[0]
    shown = ax.collections[0].get_array()
    assert shown.shape == (4, 16)
    assert shown[:, 0].tolist() == pytest.approx([16, 32, 48, 64])
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        *("shape", "colour", "tens", "relevance")
    ]
    assert [text.get_text() for text in ax.texts][:2] == ["16", "15"]


def test_a_heat_map_with_holes_is_refused_and_a_wide_one_has_no_numbers():
    with pytest.raises(ValueError, match="lacks a position"):
        pictures.probe_heat_map(probes_of().iloc[1:])
    wide = pictures.probe_heat_map(probes_of(positions=128))
    assert not wide.axes[0].texts
    wide.draw_without_rendering()


def test_attention_says_the_share_of_every_patch_and_stacks_targets_to_all():
    fig = attention_of()
    frames, bars = fig.axes[:4], fig.axes[4]
    assert [ax.get_title() for ax in frames] == [f"memory {n}" for n in (0, 4, 10, 15)]
    assert [text.get_text() for text in frames[0].texts] == ["10 %", "20 %", "30 %", "40 %"]
    veil = frames[0].images[1].get_array()
    assert veil[1, 1, 3] == 0 and veil[0, 0, 3] == veil[..., 3].max()  # dim where nobody looks
    tops = [bar.get_y() + bar.get_height() for bar in bars.containers[-1]]
    assert tops == pytest.approx([100] * 16)


def test_attention_maps_must_belong_to_the_positions():
    frame, maps = np.zeros((8, 8, 3), dtype=np.uint8), np.ones((2, 2, 2))
    with pytest.raises(ValueError, match="3 positions and 2 maps"):
        pictures.attention_over_frame(frame, maps, [0, 1, 2], shares_of())
    with pytest.raises(ValueError, match="1 to 6 positions"):
        pictures.attention_over_frame(frame, maps[:0], [], shares_of())


def test_checkpoints_stand_in_order_and_one_without_an_index_says_so():
    fig = FIGURES["stages"]()
    left, right = fig.axes
    assert [label.get_text() for label in left.get_xticklabels()] == [
        *("base", "stage0", "stage1", "stage2", "stage3")
    ]
    assert [text.get_text() for text in left.texts] == ["none", "+0.02", "+0.30", "+0.42", "+0.40"]
    assert "base: no index, nothing was answered" in fig.alt_text
    sure, meagre = left.lines[2:]  # after the line at 0 and the one through the marks
    assert meagre.get_xdata().tolist() == [0] and meagre.get_markerfacecolor() == "white"
    assert sure.get_xdata().tolist() == [1, 2, 3, 4]
    assert [line.get_ydata().tolist() for line in right.lines] == [
        stages_of()["head"].tolist(),
        stages_of()["tail"].tolist(),
    ]
    with pytest.raises(ValueError, match="at least one checkpoint"):
        pictures.index_over_training(stages_of().iloc[:0])
