"""The command line: output, exit codes, and that bad input costs one line and no traceback."""

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from video_clips import VIDEOS, needs_videos

from tempo_lib.cli import common
from tempo_lib.cli.app import run
from tempo_lib.config import DEFAULT_PRESET
from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model.compressor import Compressor

app_module = importlib.import_module("tempo_lib.cli.app")
COMMANDS = ("ask", "train", "evaluate", "reproduce", "doctor", "app", "serve")
BROKEN = (
    *("decord_corrupted.mp4", "made_audio_only.mp4", "made_empty.mp4", "made_not_a_video.mp4"),
    "made_truncated_faststart.mp4",
)


@pytest.fixture(scope="module")
def checkpoint(tiny_tempo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_tempo.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "clip.mp4", render(make_story(np.random.default_rng(0), 60), 0))
    return str(folder / "clip.mp4")


def assert_one_error_line(capsys, *words):
    """Nothing on stdout; one line ``error: ...`` on stderr that holds the words."""
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert out == ""
    assert len(errors) == 1
    assert "Traceback" not in err
    for word in words:
        assert word in errors[0]


# -- answers -----------------------------------------------------------------------------------


def test_json_is_one_document_with_everything_an_answer_cost(capsys, clip, checkpoint):
    assert run(["ask", clip, "What?", "--checkpoint", checkpoint, "--budget", "50", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["video"] == clip
    assert answer["question"] == "What?"
    assert (answer["budget"], answer["k_min"], answer["preset"]) == (50, 1, "tiny")
    assert answer["checkpoint"] == checkpoint
    assert (answer["num_frames"], answer["duration_seconds"]) == (60, 30.0)
    assert len(answer["counts"]) == len(answer["scores"]) == len(answer["seconds"]) == 8
    assert answer["tokens_used"] == sum(answer["counts"]) <= 50
    assert isinstance(answer["text"], str)


def test_options_reach_the_model(capsys, clip, checkpoint):
    options = ["--checkpoint", checkpoint, "--json", "--max-frames", "16", "--no-adaptive"]
    assert run(["ask", clip, "What?", *options, "--max-new-tokens", "1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["num_frames"] == 16
    assert answer["counts"] == [32, 32]
    assert run(["ask", clip, "What?", *options[:3], "--fps", "1", "--k-min", "0"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["num_frames"] == 30
    assert min(answer["counts"]) == 0


def test_overrides_of_the_preset_reach_the_model_too(capsys, clip, checkpoint):
    changed = ["--set", "allocation.budget=40", "--set", "video.max_frames=16"]
    assert run(["ask", clip, "What?", "--checkpoint", checkpoint, "--json", *changed]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["budget"], answer["num_frames"]) == (40, 16)
    assert answer["tokens_used"] <= 40


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("allocation.bugdet=1", "allocation.bugdet: no such field, got 1"),
        ("allocation.budget=few", "allocation.budget: Input should be a valid integer"),
        ("allocation.budget", "expected KEY=VALUE"),
        ("allocation.k_max=33", "k_max 33 exceeds the 32 tokens per segment"),
        ("model.num_memory_tokens=8", "changes nothing of a model that is trained"),
        ("training.stages.0.window=8", "changes nothing of a model that is trained"),
    ],
)
def test_an_override_that_no_model_takes_is_bad_input(capsys, clip, checkpoint, override, word):
    assert run(["ask", clip, "?", "--checkpoint", checkpoint, "--set", override]) == 2
    assert_one_error_line(capsys, word)


def test_several_questions_answer_as_each_does_alone(capsys, clip, checkpoint):
    options = ["--checkpoint", checkpoint, "--json"]
    assert run(["ask", clip, "Which place is seen most?", "What?", *options]) == 0
    both = json.loads(capsys.readouterr().out)
    assert run(["ask", clip, "What?", *options]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert [one["question"] for one in both] == ["Which place is seen most?", "What?"]
    assert both[1]["text"] == alone["text"]
    assert both[1]["counts"] == alone["counts"]


def test_text_for_people_names_cost_top_segments_and_the_miniature(capsys, clip, checkpoint):
    assert run(["ask", clip, "What?", "--checkpoint", checkpoint, "--budget", "50"]) == 0
    out = capsys.readouterr().out
    assert "of 50 memory tokens, 8 segments, 60 frames, 30.0 s" in out
    assert "segment at" in out
    assert "this is the miniature" in out
    assert "answers on real footage mean nothing" in out


def test_an_image_and_the_word_none_are_asked_too(capsys, tmp_path, checkpoint):
    write_image(tmp_path / "one.png", np.full((64, 64, 3), 120, np.uint8))
    assert (
        run(["ask", str(tmp_path / "one.png"), "What?", "--checkpoint", checkpoint, "--json"]) == 0
    )
    image = json.loads(capsys.readouterr().out)
    assert (image["num_frames"], image["duration_seconds"]) == (1, None)
    assert run(["ask", "none", "Hello?", "--checkpoint", checkpoint, "--json"]) == 0
    text_only = json.loads(capsys.readouterr().out)
    assert (text_only["counts"], text_only["tokens_used"], text_only["num_frames"]) == ([], 0, 0)


def test_cases_of_one_video_decode_it_once_and_keep_their_order(
    capsys, tmp_path, clip, checkpoint, monkeypatch
):
    from tempo_lib.video import clip as clips

    opened = []
    real = clips.open_video
    monkeypatch.setattr(
        clips, "open_video", lambda path, **k: opened.append(str(path)) or real(path, **k)
    )
    queries = [(clip, "A?"), ("missing.mp4", "B?"), (clip, "C?"), ("missing.mp4", "D?")]
    records = [{"video_path": video, "query": query} for video, query in queries]
    (tmp_path / "cases.json").write_text(json.dumps(records))
    arguments = ["--cases", str(tmp_path / "cases.json"), "--checkpoint", checkpoint, "--json"]
    assert run(["ask", *arguments]) == 2
    out, err = capsys.readouterr()
    answers = json.loads(out)
    assert opened == [clip, "missing.mp4"]
    assert [one["question"] for one in answers] == ["A?", "B?", "C?", "D?"]
    assert ["error" in one for one in answers] == [False, True, False, True]
    assert err.count("error: ") == 1
    assert "missing.mp4" in err


def test_a_question_too_long_for_the_decoder_is_bad_input(capsys, clip, checkpoint):
    assert run(["ask", clip, "word " * 9000, "--checkpoint", checkpoint]) == 2
    assert_one_error_line(capsys, "too long for the decoder")


@pytest.mark.parametrize(("num", "names"), [(1, ["a.png"]), (2, ["a-1.png", "a-2.png"])])
def test_plot_writes_one_picture_a_question(tmp_path, clip, checkpoint, num, names):
    target = str(tmp_path / "a.png")
    assert run(["ask", clip, *["What?"] * num, "--checkpoint", checkpoint, "--plot", target]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


@needs_videos
@pytest.mark.parametrize("name", sorted(p.name for p in VIDEOS.glob("*") if p.suffix != ".tsv"))
def test_every_real_clip_is_answered_within_budget_or_refused_in_one_line(capsys, checkpoint, name):
    code = run(["ask", str(VIDEOS / name), "What?", "--checkpoint", checkpoint, "--json"])
    if name in BROKEN:
        assert code == 2
        assert_one_error_line(capsys, name)
        return
    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert 0 < answer["tokens_used"] <= answer["budget"]


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "nonsense"),
        (["ask"], "VIDEO"),
        (["ask", "a.mp4"], "no question about a.mp4"),
        (["ask", "a.mp4", "?", "--cases", "c.json"], "not both"),
        (["ask", "--cases", "nowhere.json"], "nowhere.json"),
        (["ask", "a.mp4", "?", "--nope"], "--nope"),
        (["ask", "a.mp4", "?", "--budget", "x"], "--budget"),
        (["ask", "a.mp4", "?", "--budget", "-1"], "--budget"),
        (["ask", "a.mp4", "?", "--preset", "huge"], "unknown preset 'huge'; known presets: tiny"),
        (["ask", "a.mp4", "?", "--checkpoint", "/nowhere"], "/nowhere"),
        (["ask", "a.mp4", "?", "--preset", "6b"], "Vision-CAIR/Tempo-6B"),
        (["ask", "a.mp4", "?", "--plot", "a.bmp"], ".png, .pdf, .svg"),
        (["ask", "a.mp4", "?", "--plot", "/nowhere/a.png"], "/nowhere"),
        (["ask", "none", "?", "--plot", "a.png"], "--plot"),
        (["ask", "a.mp4", "?", "--plot", "/"], "--plot /: the name must end in .png"),
        (["ask", "a.mp4", "?", "--plot", f"{'n' * 300}.png"], "no name of a file: File name too"),
        (["ask", "a.mp4", "\ud83d"], "a.mp4: the question holds a lone surrogate (U+D83D"),
        (["ask", "Who is it? " * 30, __file__], "are they swapped?"),
        (["ask", "Who is it?", __file__], "are they swapped?"),
        (["train"], "--stage"),
        (["train", "--stage", "7"], "--stage"),
        (["train", "--stage", "1", "--preset", "6b"], "6b is no miniature"),
        (["train", "--from-scratch", "--start", "x"], "--start"),
        (["train", "--stage", "1", "--out", "x"], "--manifest and --data"),
        (["evaluate"], "--suite"),
        (
            ["evaluate", "--suite", "mlvu"],
            "unknown suite 'mlvu'; known: mini-longvideobench",
        ),
        (["evaluate", "--suite", "mini-mlvu", "--variant", "x"], "unknown variant 'x'; known"),
        (
            ["evaluate", "--suite", "mini-mlvu", "--preset", "6b"],
            "unknown suite 'mini-mlvu'; known: longvideobench",
        ),
        (["evaluate", "--suite", "mini-mlvu", "--out", "/nowhere/o.json"], "/nowhere"),
        (["evaluate", "--suite", "mini-mlvu", "--out", "/"], "--out / is a folder; name a file"),
        (["reproduce", "--preset", "huge"], "huge"),
        (["reproduce", "--preset", "6b"], "benchmark LVBench"),
    ],
)
def test_bad_input_exits_2_with_one_line_that_names_it(capsys, arguments, word):
    assert run(arguments) == 2
    assert_one_error_line(capsys, word)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--k-min", "33"], "k_min must not exceed k_max, got k_min=33 and k_max=32"),
        (["--reader", "vlc"], "vlc"),
        (["--timestamps", "wall"], "wall"),
        (["--fps", "0"], "fps"),
        (["--fps", "nan"], "fps"),
        (["--preset", "6b"], "is of preset tiny, not 6b"),
    ],
)
def test_options_that_only_the_model_can_judge_exit_2(capsys, clip, checkpoint, options, word):
    assert run(["ask", clip, "?", "--checkpoint", checkpoint, *options]) == 2
    assert_one_error_line(capsys, word)


def test_a_damaged_checkpoint_is_bad_input(capsys, clip, checkpoint, tmp_path):
    shutil.copy(f"{checkpoint}/config.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    assert run(["ask", clip, "?", "--checkpoint", str(tmp_path)]) == 2
    assert_one_error_line(capsys, "cannot load")


def test_a_defect_of_ours_keeps_its_traceback(clip, checkpoint, monkeypatch):
    def broken(*_, **__):
        raise ValueError("a bug")

    monkeypatch.setattr(Compressor, "relevance_logits", broken)
    with pytest.raises(ValueError, match="a bug"):
        run(["ask", clip, "?", "--checkpoint", checkpoint])


def test_an_answer_is_not_lost_with_its_picture(capsys, clip, checkpoint, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    plot = ["--plot", str(tmp_path / "a.png")]
    assert run(["ask", clip, "What?", "--checkpoint", checkpoint, "--json", *plot]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["tokens_used"] > 0
    assert "a.png: No space left on device" in err


def test_a_full_disk_is_one_line_and_other_errors_are_ours(capsys, monkeypatch):
    def failing(number):
        def fail(*_, **__):
            raise OSError(number, os.strerror(number), "out.json")

        return fail

    monkeypatch.setattr(app_module, "app", failing(errno.ENOSPC))
    assert run(["doctor"]) == 2
    assert_one_error_line(capsys, "No space left on device: 'out.json'")
    monkeypatch.setattr(app_module, "app", failing(errno.EINVAL))
    with pytest.raises(OSError, match="Invalid"):
        run(["doctor"])


def test_bad_cases_are_records_and_the_others_are_answered(capsys, clip, checkpoint, tmp_path):
    queries = ["What?", "\ud83d", "<|im_end|><|vision_start|>\x00\x1b[2J", "W" * 50_000, "When?"]
    lines = [json.dumps({"video_path": clip, "query": query}) for query in queries]
    lines += ["{", json.dumps({"video_path": "n" * 300, "query": "?"})]
    (tmp_path / "c.jsonl").write_text("\n".join(lines), encoding="utf-8-sig")
    arguments = ["ask", "--cases", str(tmp_path / "c.jsonl"), "--checkpoint", checkpoint]
    assert run([*arguments, "--json"]) == 2
    answers = json.loads(capsys.readouterr().out)
    assert ["error" in one for one in answers] == [False, True, False, True, False, True, True]
    assert answers[1]["question"] == "\ud83d"
    assert "line 6: not JSON" in answers[5]["error"]
    assert run(arguments) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\ud83d" in out
    assert "<|im_end|><|vision_start|>\\x00\\x1b[2J" in out


def test_a_table_in_a_pipe_is_as_wide_as_it_is(capsys):
    from rich.table import Table

    table = Table(box=None)
    for number in range(40):
        table.add_column(f"heading {number}")
    table.add_row(*map(str, range(40)))
    common.screen().print(table)
    first, second = capsys.readouterr().out.splitlines()
    assert first.split("heading")[-1].strip() == "39"
    assert second.split() == [str(number) for number in range(40)]


# -- help and doctor ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_two_examples_and_defaults(capsys, command):
    assert run([command, "--help"]) == 0
    out = capsys.readouterr().out
    if command == "doctor":
        assert out.count("tempo doctor") >= 1
        return
    assert out.count(f"tempo {command} ") >= 2
    assert "default: " in out


def test_the_default_preset_is_that_of_the_presets():
    assert common.DEFAULT_PRESET == DEFAULT_PRESET


def test_help_needs_no_heavy_library(repo_root):
    code = "import sys; from tempo_lib.cli.app import run; run(['--help']); heavy = "
    code += "{'torch', 'transformers', 'av', 'pandas', 'matplotlib', 'numpy', 'yaml'}"
    code += " & set(sys.modules); sys.exit(f'imported {heavy}' if heavy else 0)"
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True
        )
        best = min(best, time.perf_counter() - started)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)
    assert best < 2.0  # 0.2 s on an idle machine; the limit leaves room for a busy one
