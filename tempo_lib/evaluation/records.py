"""One record per question and variant, kept on disk so that none is computed twice.

A file holds the records of one variant under one set of facts (weights, suite, budget, code,
library versions); other facts make another file. Records carry scores and counts, so that
allocations can be redrawn without a model.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from tempo_lib.fingerprint import code_fingerprint, digest, write_atomic
from tempo_lib.model.tempo import Tempo
from tempo_lib.provenance import library_versions

# Of all libraries, those that answers depend on.
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "av", "decord", "pillow")
# Names and versions inside a config that say where it came from, not what the model does.
_ORIGIN = ("_name_or_path", "transformers_version", "architectures")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One question answered under one variant.

    suite: the benchmark. kind: the question's group. form: "open" or "choice", with its options.
    start, stop: seconds of the evidence. scores, counts, seconds: one entry per segment (N,).
    logits: the scores before their sigmoid, for variants beyond the paper, else None. relevant: 1
    where a segment holds evidence, None where the benchmark does not say or fewer frames were
    read than the video has; auc: area under the ROC curve of scores against it, None without both
    kinds of segment. matched_tokens: what the variant that this one is matched to used, None
    without one.
    """

    suite: str
    world_seed: int
    variant: str
    video: str
    video_sha256: str
    question_id: str
    kind: str
    form: str
    question: str
    options: list[str]
    answer: str
    start: float
    stop: float
    prediction: str
    correct: bool
    tokens_used: int
    matched_tokens: int | None
    num_segments: int
    num_frames: int
    budget: int
    k_min: int
    auc: float | None
    scores: list[float]
    logits: list[float] | None
    counts: list[int]
    seconds: list[float]
    relevant: list[int] | None


LISTS = ("options", "scores", "logits", "counts", "seconds", "relevant")
COLUMNS = tuple(f.name for f in fields(Record) if f.name not in LISTS)


@dataclass
class RecordFile:
    """Records of one variant by question id, mirrored to ``path``; None keeps them in memory."""

    path: Path | None
    facts: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)

    def find(self, question_id: str, video_sha256: str, question: str) -> Record | None:
        """The record of this very question about this very file, or None."""
        record = self.records.get(question_id)
        if record is None or (record.video_sha256, record.question) != (video_sha256, question):
            return None
        return record

    def add(self, records: Iterable[Record]) -> None:
        """Keep records and append them to the file in one write."""
        lines = []
        for record in records:
            self.records[record.question_id] = record
            lines.append(json.dumps(vars(record)) + "\n")  # asdict would copy every list
        if self.path is not None and lines:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write("".join(lines))


def open_records(folder: Path | None, variant: str, facts: dict[str, Any]) -> RecordFile:
    """Records kept under these facts: ``variant-<hash of facts>.jsonl``, facts beside it.

    A last line cut off by an interruption is dropped, and its question answered again.
    """
    if folder is None:
        return RecordFile(None, facts)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant}-{digest(facts)[:16]}.jsonl"
    if not path.exists():
        write_atomic(path.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
        return RecordFile(path, facts)
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_atomic(path, whole)
    return RecordFile(path, facts, read_records(path).records)


def read_records(path: Path) -> RecordFile:
    """A file of records and the facts beside it; a last line still being written is left out.

    ValueError for records of another version.
    """
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    try:
        found = [Record(**json.loads(line)) for line in lines]
    except TypeError as error:
        raise ValueError(
            f"{path.name} holds records of another version; evaluate its variant again"
        ) from error
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return RecordFile(path, facts, {record.question_id: record for record in found})


def model_facts(model: Tempo) -> dict[str, str]:
    """Hashes of weights, config and tokenizer of a model, wherever it was loaded from."""
    return {
        "weights": weights_digest(model),
        "config": digest(_without_origin(model.config.to_dict())),
        "tokenizer": _tokenizer_digest(model),
        "device": model.device.type,
    }


def compression_digest(model: Tempo) -> str:
    """One hash of all that memories and scores come from; the decoder is no part of it."""
    config = _without_origin(model.config.to_dict())
    config.pop("decoder_config")
    parts = [weights_digest(model.compressor), config, _tokenizer_digest(model), model.device.type]
    return digest(parts)


def weights_digest(module: torch.nn.Module) -> str:
    """Hex SHA-256 over names, types, shapes and values of a state dict."""
    weights = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        weights.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        weights.update(flat.view(torch.uint8).numpy())
    return weights.hexdigest()


def _tokenizer_digest(model: Tempo) -> str:
    text = model.encoder.tokenizer.backend_tokenizer.to_str()
    return hashlib.sha256(text.encode()).hexdigest()


def code_facts(*sources: str | Path) -> dict[str, Any]:
    """Fingerprint of the code that answers depend on, and versions of the libraries.

    ``sources``: modules or files beyond the runner's own imports, such as those of plug-ins.
    """
    installed = library_versions()
    versions = {name: installed[name] for name in LIBRARIES if name in installed}
    return {"code": code_fingerprint("tempo_lib.evaluation.runner", *sources), "versions": versions}


def _without_origin(config: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_origin(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in _ORIGIN
    }
