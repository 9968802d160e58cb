"""A broken model is an error that says where, never a weak model."""

import json
import shutil

import numpy as np
import pytest
import torch

from tempo_lib.cli.app import run
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.compressor import Cut
from tempo_lib.model.decoding import decode_many
from tempo_lib.model.numerics import NotFiniteError, check_segments, debug_numerics, is_finite
from tempo_lib.video.clip import Video
from tests.test_cli_app import assert_one_error_line

DECODER = "decoder.model.layers.1.mlp.up_proj.weight"
COMPRESSOR = "compressor.vlm.language_model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def video():
    frames = render(make_story(np.random.default_rng(0), 16), 0)
    return Video(frames, 2.0, np.arange(16) / 2, "drawn")


def poison(model, name, value=float("nan")):
    with torch.no_grad():
        model.get_parameter(name).view(-1)[3] = value
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_weight_of_the_decoder_is_named(fresh_tiny_tempo, video, value):
    model = poison(fresh_tiny_tempo, DECODER, value)
    message = rf"decoder's logits are not finite; nor are these weights: {DECODER} \(1\); get the"
    with pytest.raises(NotFiniteError, match=message):
        model.answer(video, "What?")
    with pytest.raises(NotFiniteError, match=message):
        model.answer(None, "What?")
    memories = model.compress(video, "What?")  # the compressor is sound
    cut = Cut(memories, torch.full((len(memories.scores),), 2), "head")
    with pytest.raises(NotFiniteError, match=message):
        decode_many(model, "What?", [cut, cut])


def test_a_bad_weight_of_the_compressor_is_named_with_the_segments(fresh_tiny_tempo, video):
    model = poison(fresh_tiny_tempo, COMPRESSOR)
    with pytest.raises(NotFiniteError, match="relevance logits of 2 of 2 segments, from 1: 1, 2"):
        model.compress(video, "What?")
    with pytest.raises(NotFiniteError, match=r"layers\.0\.self_attn\.q_proj\.weight"):
        model.answer(video, "What?")


def test_a_bad_memory_token_is_named(fresh_tiny_tempo, video):
    poison(fresh_tiny_tempo, "compressor.memory_tokens")
    with pytest.raises(NotFiniteError, match=r"of 2 of 2 segments.*compressor.memory_tokens \(1\)"):
        fresh_tiny_tempo.compress(video, "What?")


def test_the_segment_that_is_not_finite_is_the_one_that_is_named(tiny_tempo):
    values = torch.zeros(9, 2, 3)
    check_segments("memories", values, tiny_tempo)
    values[4, 1, 2], values[7, 0, 0] = float("inf"), float("nan")
    with pytest.raises(NotFiniteError, match="memories of 2 of 9 segments, from 1: 5, 8 are not"):
        check_segments("memories", values, tiny_tempo)
    assert is_finite(torch.tensor([1, 2]))


def test_debugging_names_the_first_layer(fresh_tiny_tempo, video):
    model = poison(fresh_tiny_tempo, DECODER)
    name = DECODER.removesuffix(".weight")
    with pytest.raises(NotFiniteError, match=rf"the output of layer {name} \(Linear\) holds"):  # noqa: SIM117
        with debug_numerics(model):
            model.answer(video, "What?")
    assert not any(module._forward_hooks for module in model.modules())


def test_checks_change_no_answer(tiny_tempo, video):
    plain = tiny_tempo.answer(video, "What?")
    with debug_numerics(tiny_tempo):
        checked = tiny_tempo.answer(video, "What?")
    assert plain.token_ids == checked.token_ids
    assert torch.equal(plain.scores, checked.scores)


@pytest.fixture
def broken(fresh_tiny_tempo, tmp_path):
    poison(fresh_tiny_tempo, DECODER).save_pretrained(tmp_path / "broken")
    return str(tmp_path / "broken")


def test_ask_gives_no_empty_answer(capsys, broken):
    assert run(["ask", "none", "What?", "--checkpoint", broken, "--json"]) == 2
    assert_one_error_line(capsys, "none: the decoder's logits are not finite", DECODER)
    arguments = ["ask", "none", "What?", "--checkpoint", broken, "--debug-numerics"]
    assert run(arguments) == 2
    assert_one_error_line(capsys, "the output of layer decoder.model.layers.1.mlp.up_proj (Linear)")


def test_cases_go_on_with_an_error_record_each(capsys, broken, tmp_path):
    cases = [{"video_path": "none", "query": query} for query in ("One?", "Two?")]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    arguments = ["ask", "--cases", str(tmp_path / "cases.json"), "--checkpoint", broken, "--json"]
    assert run(arguments) == 2
    assert ["not finite" in one["error"] for one in json.loads(capsys.readouterr().out)] == [
        True
    ] * 2


def test_evaluate_gives_no_accuracy_of_zero(capsys, broken, tmp_path, monkeypatch):
    monkeypatch.setenv("TEMPO_HOME", str(tmp_path))
    arguments = ["evaluate", "--suite", "mini-longvideobench", "--num-questions", "2"]
    assert run([*arguments, "--checkpoint", broken, "--out", str(tmp_path / "out.json")]) == 2
    assert_one_error_line(capsys, "not finite", DECODER)
    assert not (tmp_path / "out.json").exists()
    shutil.rmtree(broken)
