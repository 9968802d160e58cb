"""Conversion there and back: same bits, same fields, same files, same answers."""

import json
import shutil
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tempo_lib import Tempo, Video
from tempo_lib.checkpoints import convert as conversion
from tempo_lib.checkpoints.folders import CheckpointError, find_checkpoint
from tempo_lib.checkpoints.loading import stored_tensors
from tempo_lib.checkpoints.released import DIFFERENCE, ROWS
from tempo_lib.cli.app import run

convert = partial(conversion.convert, model_class=Tempo)


@pytest.fixture
def released(tmp_path, golden_dir):
    for name in ("Tempo-tiny", "Qwen3-VL-tiny"):
        shutil.copytree(golden_dir / name, tmp_path / name)
    return tmp_path / "Tempo-tiny"


@pytest.fixture(scope="module")
def shipped():
    return find_checkpoint("tiny")


@pytest.fixture(scope="module")
def clip():
    frames = np.random.default_rng(1).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    return Video(frames, fps=2.0)


def bits(folder):
    """Every tensor of a folder as (dtype, shape, bytes)."""
    found = {}
    for name, one in stored_tensors(folder).items():
        raw = one.read().contiguous().view(-1).view(torch.uint8)
        found[name] = (one.dtype, one.shape, raw.numpy().tobytes())
    return found


def tokenizer_files(folder):
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def same_answers(one, two, clip):
    answers = [
        Tempo.from_pretrained(folder, device="cpu").answer(clip, "What?", max_new_tokens=4)
        for folder in (one, two)
    ]
    assert answers[0].token_ids == answers[1].token_ids
    assert torch.equal(answers[0].scores, answers[1].scores)
    assert torch.equal(answers[0].counts, answers[1].counts)


def test_released_to_ours_and_back_keeps_every_bit_field_and_file(released, tmp_path, clip):
    there = convert(released, tmp_path / "ours")
    assert (there.layout, there.num_tensors) == ("tempo", 131)
    back = convert(tmp_path / "ours", tmp_path / "back")
    assert (back.layout, back.num_tensors, back.base_compressor) == (
        "tempo_qwen",
        130,
        "Qwen3-VL-tiny",
    )
    assert bits(tmp_path / "back") == bits(released)
    configs = [json.loads((f / "config.json").read_text()) for f in (released, tmp_path / "back")]
    assert configs[0] == configs[1]
    for folder in (tmp_path / "ours", tmp_path / "back"):
        assert tokenizer_files(folder) == tokenizer_files(released)
        same_answers(released, folder, clip)
    dtypes = {one.dtype for one in stored_tensors(tmp_path / "ours").values()}
    assert dtypes == {"BF16"}


def test_ours_to_released_and_back_keeps_every_bit_field_and_file(shipped, tmp_path, clip):
    convert(shipped, tmp_path / "released")
    assert json.loads((tmp_path / "released/config.json").read_text())["model_type"] == "tempo_qwen"
    assert ROWS not in stored_tensors(tmp_path / "released")
    convert(tmp_path / "released", tmp_path / "back")
    assert bits(tmp_path / "back") == bits(shipped)
    assert (tmp_path / "back/config.json").read_text() == (shipped / "config.json").read_text()
    for folder in (tmp_path / "released", tmp_path / "back"):
        assert tokenizer_files(folder) == tokenizer_files(shipped)
        same_answers(shipped, folder, clip)


def test_four_conversions_in_a_row_lose_nothing(released, tmp_path):
    folders = [released, *(tmp_path / str(step) for step in range(4))]
    for one, two in pairwise(folders):
        convert(one, two)
    assert bits(folders[1]) == bits(folders[3])
    assert bits(folders[0]) == bits(folders[2]) == bits(folders[4])
    assert (folders[1] / "config.json").read_text() == (folders[3] / "config.json").read_text()


def test_the_yes_no_difference_survives_beside_ours(released, tmp_path):
    rows = Tempo.from_pretrained(released, device="cpu").compressor.relevance_rows
    state = load_file(released / "model.safetensors")
    state[DIFFERENCE] = (rows[0] - rows[1])[None]
    save_file(state, released / "model.safetensors", metadata={"format": "pt"})
    convert(released, tmp_path / "ours")
    assert DIFFERENCE not in stored_tensors(tmp_path / "ours")
    Tempo.from_pretrained(tmp_path / "ours", device="cpu")
    convert(tmp_path / "ours", tmp_path / "back")
    assert bits(tmp_path / "back") == bits(released)


def test_a_saved_tied_head_is_kept(released, tmp_path):
    state = load_file(released / "model.safetensors")
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    save_file(state, released / "model.safetensors", metadata={"format": "pt"})
    convert(released, tmp_path / "ours")
    model = Tempo.from_pretrained(tmp_path / "ours", device="cpu")
    assert model.decoder.lm_head.weight is model.decoder.model.embed_tokens.weight
    convert(tmp_path / "ours", tmp_path / "back")
    assert bits(tmp_path / "back") == bits(released)


def test_shards_are_bounded_and_so_is_what_is_held_at_once(released, tmp_path, monkeypatch):
    written, save = [], conversion.save_file

    def counting(tensors, file, metadata):
        written.append(sum(tensor.nbytes for tensor in tensors.values()))
        save(tensors, file, metadata=metadata)

    monkeypatch.setattr(conversion, "save_file", counting)
    done = convert(released, tmp_path / "ours", max_shard_size="500KB")
    assert done.num_shards == len(written) >= 4
    assert max(written) <= 500_000
    assert sum(written) == done.num_bytes
    index = json.loads((tmp_path / "ours/model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == done.num_bytes
    assert len(set(index["weight_map"].values())) == done.num_shards
    one, two = (
        Tempo.from_pretrained(folder, device="cpu").state_dict()
        for folder in (released, tmp_path / "ours")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    convert(tmp_path / "ours", tmp_path / "back", max_shard_size="1GB")
    assert bits(tmp_path / "back") == bits(released)


def test_a_base_compressor_is_named_and_must_have_the_same_rows(shipped, released, tmp_path):
    base = find_checkpoint("tiny", "base_compressor")
    done = convert(shipped, tmp_path / "released", base_compressor=str(base))
    assert done.base_compressor == base.name
    done = convert(shipped, tmp_path / "hub", base_compressor="someone/base")
    assert done.base_compressor == "someone/base"
    with pytest.raises(CheckpointError, match="other head rows Yes and No"):
        convert(shipped, tmp_path / "no", base_compressor=str(released.parent / "Qwen3-VL-tiny"))
    assert not (tmp_path / "no").exists()


def test_a_config_that_changed_beside_our_own_is_refused(shipped, tmp_path):
    convert(shipped, tmp_path / "released")
    file = tmp_path / "released/config.json"
    raw = json.loads(file.read_text()) | {"tokenizer_model_max_length": 99}
    file.write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match=r"tempo_config\.json and config\.json describe two"):
        Tempo.from_pretrained(tmp_path / "released", device="cpu")


def test_a_target_that_holds_something_is_left_alone(released, tmp_path):
    target = tmp_path / "full"
    target.mkdir()
    convert(released, target)  # empty is fine
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    with pytest.raises(CheckpointError, match="full exists and is not an empty folder"):
        convert(released, target)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="file exists and is not an empty folder"):
        convert(released, tmp_path / "file")


def test_an_incomplete_source_or_a_failed_write_leaves_nothing(released, tmp_path, monkeypatch):
    def full_disk(*_, **__):
        raise OSError("no space left on device")

    before = set(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "save_file", full_disk)
        with pytest.raises(OSError, match="no space left"):
            convert(released, tmp_path / "ours")
    assert set(tmp_path.iterdir()) == before
    state = load_file(released / "model.safetensors")
    del state["model.norm.weight"]
    save_file(state, released / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing: decoder\.model\.norm\.weight"):
        convert(released, tmp_path / "ours")
    with pytest.raises(CheckpointError, match="max shard size 'much'"):
        convert(find_checkpoint("tiny"), tmp_path / "ours", max_shard_size="much")
    assert set(tmp_path.iterdir()) == before


def test_the_command_says_what_it_wrote_and_bad_input_costs_one_line(released, tmp_path, capsys):
    ours, back = str(tmp_path / "ours"), str(tmp_path / "back")
    assert run(["convert", str(released), ours]) == 0
    assert "131 tensors, 0.00204 GB in 1 file" in capsys.readouterr().out
    assert run(["convert", ours, back, "--max-shard-size", "1MB"]) == 0
    out = capsys.readouterr().out
    assert "layout release, 130 tensors" in out
    assert "base compressor that config.json names, Qwen3-VL-tiny" in out
    for arguments, word in (
        ([ours, back], "exists and is not an empty folder"),
        ([str(tmp_path / "nowhere"), str(tmp_path / "x")], "no checkpoint at"),
        (["nobody/nothing", str(tmp_path / "x")], "cannot get nobody/nothing"),
        ([ours, str(tmp_path / "x"), "--max-shard-size", "much"], "max shard size 'much'"),
    ):
        assert run(["convert", *arguments]) == 2
        err = capsys.readouterr().err
        assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.strip()]
        assert word in err
    assert run(["convert", "--help"]) == 0
    assert capsys.readouterr().out.count("tempo convert ") >= 2
