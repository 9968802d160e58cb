"""Bad checkpoints: every one costs one line that names the file, none is loaded in part."""

import json
import shutil
import socket

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tempo_lib import Tempo
from tempo_lib.checkpoints.folders import CheckpointError
from tempo_lib.checkpoints.loading import (
    check_complete,
    local_folder,
    stored_tensors,
)


@pytest.fixture(params=["ours", "released"])
def checkpoint(request, tmp_path, tiny_tempo, golden_dir):
    """A sharded checkpoint of each layout (three files) that a test may damage."""
    if request.param == "ours":
        tiny_tempo.save_pretrained(tmp_path / "model")
    else:
        shutil.copytree(golden_dir / "Tempo-tiny", tmp_path / "model")
        shutil.copytree(golden_dir / "Qwen3-VL-tiny", tmp_path / "Qwen3-VL-tiny")
    shard(tmp_path / "model")
    return tmp_path / "model"


def shard(folder, num_shards=3):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for index in range(num_shards):
        file = f"model-{index + 1:05d}-of-{num_shards:05d}.safetensors"
        part = {name: state[name] for name in sorted(state)[index::num_shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    write_index(folder, weight_map)


def write_index(folder, weight_map):
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def read_index(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def refused(folder, match, **options):
    with pytest.raises(CheckpointError, match=match) as caught:
        Tempo.from_pretrained(folder, device="cpu", **options)
    assert "\n" not in str(caught.value)


def test_shards_and_one_file_load_the_same_model(checkpoint, tmp_path):
    sharded = Tempo.from_pretrained(checkpoint, device="cpu").state_dict()
    state = {name: one.read() for name, one in stored_tensors(checkpoint).items()}
    for file in checkpoint.glob("model*"):
        file.unlink()
    save_file(state, checkpoint / "model.safetensors", metadata={"format": "pt"})
    single = Tempo.from_pretrained(checkpoint, device="cpu").state_dict()
    assert single.keys() == sharded.keys()
    assert all(torch.equal(single[name], sharded[name]) for name in single)


def test_a_shard_that_the_index_names_and_nobody_has_is_named(checkpoint):
    (checkpoint / "model-00002-of-00003.safetensors").unlink()
    refused(checkpoint, r"index\.json names model-00002-of-00003\.safetensors, which")


def test_a_shard_cut_short_is_named(checkpoint):
    file = checkpoint / "model-00003-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refused(checkpoint, r"model-00003-of-00003\.safetensors is damaged or cut short")
    file.write_bytes(b"")
    refused(checkpoint, r"model-00003-of-00003\.safetensors is damaged or cut short")


def test_an_index_that_does_not_fit_its_shards_is_refused(checkpoint):
    whole = read_index(checkpoint)
    write_index(checkpoint, whole | {"foreign": "model-00001-of-00003.safetensors"})
    refused(checkpoint, r"promises tensors that their shards lack: foreign \(model-00001")
    first = sorted(whole)[0]
    write_index(checkpoint, {name: file for name, file in whole.items() if name != first})
    refused(checkpoint, rf"does not list tensors that its shards hold: {first}")
    write_index(checkpoint, {})
    refused(checkpoint, "has no weight_map")
    (checkpoint / "model.safetensors.index.json").write_text("{")
    refused(checkpoint, r"cannot read .*index\.json")


def test_shards_without_an_index_and_two_kinds_of_weights_are_refused(checkpoint):
    shutil.copy(checkpoint / "model-00001-of-00003.safetensors", checkpoint / "model.safetensors")
    refused(checkpoint, r"holds both model\.safetensors and model\.safetensors\.index\.json")
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").unlink()
    refused(checkpoint, r"neither model\.safetensors nor model\.safetensors\.index\.json")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_pickles_are_refused_by_name(checkpoint, name):
    for file in checkpoint.glob("model*"):
        file.unlink()
    (checkpoint / name).write_bytes(b"cos\nsystem\n")
    refused(checkpoint, rf"holds no \.safetensors weights; pickles \({name}\) are refused")


def test_lost_foreign_and_misshaped_tensors_are_all_listed(checkpoint):
    names = sorted(read_index(checkpoint))
    state = {name: one.read() for name, one in stored_tensors(checkpoint).items()}
    lost = [name for name in names if name.endswith(".k_norm.weight")][:2]
    bent = next(name for name in names if name.endswith("projector.weight"))
    for name in lost:
        del state[name]
    state[bent] = state[bent][:-1].contiguous()
    home = "compressor.vlm." if bent == "projector.weight" else "model."
    state[f"{home}foreign.weight"] = torch.zeros(3)
    for file in checkpoint.glob("model*"):
        file.unlink()
    save_file(state, checkpoint / "model.safetensors", metadata={"format": "pt"})
    height, width = state[bent].shape
    refused(
        checkpoint,
        rf"missing: .*k_norm\.weight, .*k_norm\.weight; unexpected: .*foreign\.weight; "
        rf"mismatched: projector\.weight \({height}, {width}\) for \({height + 1}, {width}\)",
    )


def test_the_report_of_a_whole_load_passes():
    check_complete("x", {"missing_keys": [], "unexpected_keys": set(), "mismatched_keys": []})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"model_type": "llama"}', r"model type 'llama'; this loader reads tempo and tempo_qwen"),
        ("{", r"cannot read .*config\.json"),
        ("[]", r"config\.json holds a list, not an object"),
        ("{}", r"model type 'None'"),
    ],
)
def test_a_config_of_another_kind_is_refused(checkpoint, text, match):
    (checkpoint / "config.json").write_text(text)
    refused(checkpoint, match)


def test_a_folder_without_a_tokenizer_is_refused(checkpoint):
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (checkpoint / name).unlink(missing_ok=True)
    refused(checkpoint, "holds no tokenizer")


def test_a_hub_id_that_is_not_in_the_cache_is_one_line_when_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refused("nobody/nothing", "cannot get nobody/nothing from the Hugging Face hub or its cache")


def test_an_unreachable_hub_is_one_line(tmp_path, monkeypatch):
    with socket.socket() as closed:  # a port that was free a moment ago: nobody listens
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"cannot get nobody/nothing .*refused") as caught:
        local_folder("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_our_own_layout_takes_no_base_compressor(tiny_tempo, tmp_path):
    tiny_tempo.save_pretrained(tmp_path)
    refused(tmp_path, "holds its own compressor", base_compressor="x")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool, torch.float8_e4m3fn]
)
def test_the_size_of_a_stored_tensor_is_known_from_its_header(tmp_path, dtype):
    tensor = torch.zeros(3, 5).to(dtype)
    save_file({"one": tensor}, tmp_path / "model.safetensors")
    (stored,) = stored_tensors(tmp_path).values()
    assert stored.nbytes == tensor.nbytes
