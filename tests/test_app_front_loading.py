"""The front-loading explorer without a browser: what it measures, says and shows."""

import json

import numpy as np
import pytest

from tempo_lib.analysis.kept_memories import read_effects, write_effects
from tempo_lib.app.explorer.front_loading import FrontLoadingExplorer
from tempo_lib.video.clip import Video


def video_of():
    frames_THW3 = np.random.default_rng(0).integers(0, 255, (16, 32, 32, 3), dtype=np.uint8)
    return Video(frames_THW3)


@pytest.fixture
def explorer(tiny_tempo, monkeypatch):
    made = FrontLoadingExplorer(tiny_tempo, video_of(), "Who?", ["The red star.", "Nobody."])
    sent = []
    monkeypatch.setattr(made, "send", lambda content, buffers=None: sent.append(content))
    made.sent = sent
    return made


def test_a_brush_is_measured_and_answered(explorer):
    assert explorer.can_ask
    rows = ["1" + "0" * 31, "0" * 32]
    explorer._received(None, {"kind": "keep", "kept": rows}, [])
    (answered,) = explorer.sent
    assert answered["kind"] == "effect" and answered["effect"]["num_kept"] == 1
    assert len(answered["effect"]["log_likelihoods"]) == 2
    whole = explorer.data["effects"]["effects"][0]
    assert (whole["name"], whole["num_kept"]) == ("all", 64)
    assert answered["effect"]["log_likelihoods"] != whole["log_likelihoods"]
    json.dumps(explorer.data)


@pytest.mark.parametrize("message", [{"kept": ["1"]}, {"kept": ["x" * 32] * 2}, {}])
def test_a_message_that_makes_no_sense_is_answered_with_words(explorer, message):
    explorer._received(None, {"kind": "keep", **message}, [])
    assert [content["kind"] for content in explorer.sent] == ["say"]
    assert explorer.sent[0]["text"].startswith("No answer: ")


def test_without_candidates_the_answer_from_all_memories_is_the_one(tiny_tempo):
    made = FrontLoadingExplorer(tiny_tempo, video_of(), "Who?")
    wanted = tiny_tempo.answer(video_of(), "Who?", adaptive=False).text
    assert made.effects.candidates == [wanted]


def test_saved_effects_need_no_model_and_say_what_is_missing(explorer, tmp_path):
    write_effects(tmp_path / "one.json", explorer.effects)
    saved = FrontLoadingExplorer.from_records(tmp_path / "one.json")
    assert not saved.can_ask and saved.effects == read_effects(tmp_path / "one.json")
    assert "No pictures" in saved.data["film"]["missing"][0]
    saved._received(None, {"kind": "keep", "kept": []}, [])  # nobody there to answer: no error
    assert FrontLoadingExplorer.from_records(saved.effects, video_of()).data["film"]["frames"]


def test_an_image_is_refused(tiny_tempo):
    image = Video(np.zeros((1, 32, 32, 3), np.uint8), is_image=True)
    with pytest.raises(ValueError, match="an image has no segments"):
        FrontLoadingExplorer(tiny_tempo, image, "Who?")


def test_without_widgets_the_static_figure_stands_there(explorer):
    bundle, metadata = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert "tail 8" in metadata["image/png"]["alt"]
