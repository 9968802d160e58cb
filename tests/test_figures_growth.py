"""Growth: the table of measured points, powers that are right, and what the picture says."""

import pytest

from tempo_lib.analysis.growth import growth_table, powers
from tempo_lib.figures.growth import growth


def spread(value):
    return {"median": value, "min": value / 2, "max": value * 2}


def point(axis, size, seconds, operations):
    ours = {"cpu_seconds": spread(seconds), "peak_megabytes": spread(10.0 * size)}
    predicted = {"operations": operations, "megabytes": 5.0 * size}
    sides = {"ours": ours, "reference": ours}
    return {"axis": axis, "size": size, "sides": sides, "predicted": predicted}


@pytest.fixture
def document():
    pairs = [point("frames", size, 0.1 * size**2, 7 * size) for size in (2, 4, 8)]
    pairs += [point(axis, 1, 0.5, 3) for axis in ("questions", "budget")]
    return {"made_by": "tempo bench growth", "preset": "tiny", "sizes": {}, "pairs": pairs}


def test_predicted_seconds_are_operations_at_the_rate_of_the_longest_video(document):
    table = growth_table([document, {**document, "sizes": {"size": "mid"}}])
    assert table["model"].tolist() == ["tiny"] * 5 + ["mid"] * 5
    frames = table[table["axis"] == "frames"]
    assert frames["predicted"].tolist()[:3] == pytest.approx([1.6, 3.2, 6.4])
    assert (frames["least"] < frames["seconds"]).all() and (frames["held"] > 0).all()


def test_a_power_is_that_of_the_size_and_of_one_point_there_is_none(document):
    found = powers(growth_table([document])).loc["tiny"]
    assert found.loc["frames"].tolist() == [2.0, 1.0, 1.0, 2.0]
    assert found.loc["questions"].isna().all()


def test_a_document_of_before_is_refused(document):
    del document["pairs"][0]["predicted"]
    with pytest.raises(ValueError, match="no predictions beside its points; measure anew"):
        growth_table([document])


def test_the_picture_has_marks_for_what_is_measured_and_dashes_for_what_is_predicted(document):
    fig = growth(growth_table([document]), preset="tiny")
    first, memory = fig.axes[:2]
    measured, predicted = first.lines[:2]
    assert measured.get_ydata().tolist() == pytest.approx([0.4, 1.6, 6.4])
    assert predicted.get_ydata().tolist() == pytest.approx([1.6, 3.2, 6.4])
    assert memory.lines[1].get_ydata().tolist() == [10.0, 20.0, 40.0]
    assert "tiny: power 2.00" in [text.get_text() for text in first.get_legend().texts]
    assert "seconds to the power 2.00" in fig.alt_text
