"""Put a finished miniature into the package: ``python -m tempo_lib.miniature.pretrain.ship``.

The last two stages ship as they were trained, in float32: they share a compressor, bit for bit, and
so its memories. The others ship as bfloat16, at half the size. A manifest holds what each file is
and where it came from.
"""

import json
import shutil
from importlib import resources
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM, Qwen3VLForConditionalGeneration

from tempo_lib.checkpoints.folders import SUMMARY, checkpoint_digest, is_finished, part_names
from tempo_lib.config import load_preset
from tempo_lib.fingerprint import git_state, library_versions, write_atomic
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import project_root

MODEL_CLASSES = {
    "base_compressor": Qwen3VLForConditionalGeneration,
    "base_decoder": Qwen3ForCausalLM,
    "reranker": Qwen3VLForConditionalGeneration,
}
RECORDS = (SUMMARY, "losses.jsonl", "losses.json")


def ship(work: Path, assets: Path) -> dict[str, object]:
    """Copy checkpoints, summaries and losses from ``work`` to ``assets``; returns the manifest.

    FileNotFoundError names the first part that has not finished training.
    """
    names = part_names(load_preset("tiny"))
    for name in names:
        if not is_finished(work / name):
            raise FileNotFoundError(f"{work / name} is not finished; train it first")
    commit, dirty = git_state(project_root())  # before the copies change the tree
    for name in names:
        _copy_weights(work / name, assets / name)
        for record in RECORDS:
            if (work / name / record).is_file():
                shutil.copy(work / name / record, assets / name / record)
    manifest: dict[str, object] = {
        "commit": commit,
        "dirty": dirty,
        "versions": library_versions(),
        "weights_sha256": {name: checkpoint_digest(assets / name) for name in names},
        "trained_sha256": {name: checkpoint_digest(work / name) for name in names},
        "cards": {name: json.loads((assets / name / SUMMARY).read_text()) for name in names},
    }
    write_atomic(assets / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def _copy_weights(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.name in MODEL_CLASSES:
        model = MODEL_CLASSES[source.name].from_pretrained(source, dtype=torch.bfloat16)
        model.save_pretrained(target)
        AutoTokenizer.from_pretrained(source).save_pretrained(target)
        return
    last_two = part_names(load_preset("tiny"))[-2:]
    dtype = torch.float32 if source.name in last_two else torch.bfloat16
    Tempo.from_pretrained(source, dtype=dtype, device="cpu").save_pretrained(target)


def main() -> None:
    preset = load_preset("tiny")
    work = project_root() / "runs" / preset.name / "train"
    manifest = ship(work, Path(str(resources.files("tempo_lib") / "assets" / preset.name)))
    print(json.dumps(manifest["weights_sha256"], indent=1))


if __name__ == "__main__":
    main()
