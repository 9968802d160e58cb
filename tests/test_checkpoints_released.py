"""The released layout: what may be loaded, and where the rows that score come from."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from tempo_lib import Tempo
from tempo_lib.checkpoints.folders import CheckpointError


def test_a_released_checkpoint_with_a_lost_or_foreign_tensor_is_refused(golden_dir, tmp_path):
    folder = tmp_path / "Tempo-tiny"
    folder.mkdir()
    for file in (golden_dir / "Tempo-tiny").iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    state = load_file(golden_dir / "Tempo-tiny/model.safetensors")
    base = golden_dir / "Qwen3-VL-tiny"
    lost = state.pop("model.mm_projector.bias")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: projector\.bias"):
        Tempo.from_pretrained(folder, base_compressor=base)
    save_file(state | {"model.mm_projector.bias": lost[:-1]}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"mismatched: .*projector\.bias"):
        Tempo.from_pretrained(folder, base_compressor=base)
    save_file(state | {"odd": lost}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="odd is no tensor of a released Tempo checkpoint"):
        Tempo.from_pretrained(folder, base_compressor=base)
    (folder / "model.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or cut short"):
        Tempo.from_pretrained(folder, base_compressor=base)


def test_the_head_rows_are_the_base_models_and_not_the_checkpoints(golden_dir):
    released = Tempo.from_pretrained(golden_dir / "Tempo-tiny", dtype=torch.float32, device="cpu")
    base = load_file(golden_dir / "Qwen3-VL-tiny/model.safetensors")
    yes, no = (released.encoder.encode(word)[0] for word in ("Yes", "No"))
    table = base["model.language_model.embed_tokens.weight"].float()
    assert torch.equal(released.compressor.relevance_rows, table[[yes, no]])
