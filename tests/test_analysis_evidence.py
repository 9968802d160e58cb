"""Places and lengths of planted records."""

import pandas as pd
import pytest

from tempo_lib.analysis.evidence import PLACES, video_end, with_length, with_place

SIX = (2.0, 6.0, 10.0, 14.0, 18.0, 22.0)  # segments of 4 s: 24 s


def records(*spans, seconds=SIX):
    end = video_end(seconds)
    return pd.DataFrame([{"start": a, "stop": b, "video_seconds": end} for a, b in spans])


def test_a_video_ends_half_a_segment_after_its_last_timestamp():
    assert video_end(SIX) == 24.0
    assert video_end((2.0, 6.0, 9.0)) == 10.5  # the last segment may be short


@pytest.mark.parametrize(
    ("span", "place"),
    [
        ((0.0, 3.0), "beginning"),
        ((5.0, 8.0), "beginning"),
        ((8.0, 16.0), "middle"),
        ((15.0, 16.0), "middle"),
        ((16.0, 24.0), "end"),
        ((20.0, 25.0), "end"),  # a timestamp is rounded: an answer may stop behind the end
    ],
)
def test_evidence_lies_in_the_third_that_holds_all_of_it(span, place):
    assert with_place(records(span))["place"].tolist() == [place]


def test_evidence_that_crosses_or_is_the_whole_video_has_no_place():
    kept = with_place(records((7.0, 9.0), (0.0, 24.0), (1.0, 2.0)))
    assert kept.index.tolist() == [2]


def test_a_video_of_one_segment_ends_at_twice_its_middle():
    kept = with_place(records((0.0, 1.0), (1.5, 2.5), (3.0, 4.0), seconds=(2.0,)))
    assert tuple(kept["place"]) == PLACES


def test_lengths_are_in_order_and_hold_their_ends():
    frame = pd.DataFrame({"num_segments": [64, 24, 48, 1, 25], "question_id": list("abcde")})
    found = with_length(frame)
    assert found["num_segments"].tolist() == [24, 1, 48, 25, 64]
    assert found["length"].unique().tolist() == [
        "up to 24 segments",
        "25 to 48 segments",
        "more than 48 segments",
    ]
    half = frame.assign(num_segments=frame["num_segments"] // 2)  # a variant with half the frames
    both = with_length(pd.concat([frame, half]))
    assert (both.groupby("question_id")["length"].nunique() == 1).all()
    assert with_length(frame, [20, 40, 60])["length"].iloc[-1] == "more than 60 segments"
