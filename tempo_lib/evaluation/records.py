"""One record per question and variant, kept on disk so that none is computed twice.

A file holds the records of one variant under one set of facts (weights, suite, budget, code,
library versions); other facts make another file. Records carry scores and counts, so that
allocations can be redrawn without a model. A question that failed leaves a failure: never a wrong
answer, and tried again by the next run. Several processes may append to the same file.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from tempo_lib.fingerprint import code_fingerprint, digest, library_versions, write_atomic
from tempo_lib.model.tempo import Tempo

# Of all libraries, those that answers depend on.
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "av", "decord", "pillow")
# Names and versions inside a config that say where it came from, not what the model does.
_ORIGIN = ("_name_or_path", "transformers_version", "architectures")


class RecordsError(ValueError):
    """A file of records that is damaged or of another version; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One question answered under one variant.

    suite: the benchmark. kind: the question's group. form: "open" or "choice", with its options.
    start, stop: seconds of the evidence. scores, counts, seconds: one entry per segment (N,).
    logits: the scores before their sigmoid, for variants beyond the paper, else None. relevant: 1
    where a segment holds evidence, None where the benchmark does not say or fewer frames were
    read than the video has; auc: area under the ROC curve of scores against it, None without both
    kinds of segment. matched_tokens: what the variant that this one is matched to used, None
    without one. letter, found_by, letter_before, correct_before, correct_words: as in ``Verdict``.
    tags: those of the question. budget_role: the benchmark's name of the budget, "" for a number;
    budget_bound: whether the segments could hold more. query: what the compressor read where that
    is not the question. num_lost: frames of a damaged file that could not be salvaged. Fields with
    defaults came later: records without them stay readable.
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
    letter: str | None = None
    found_by: str | None = None
    letter_before: str | None = None
    correct_before: bool | None = None
    correct_words: bool | None = None
    budget_role: str = ""
    budget_bound: bool | None = None
    query: str | None = None
    tags: dict[str, list[str]] = field(default_factory=dict)
    num_lost: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One question without an answer under one variant; ``error``: the reason on one line."""

    suite: str
    world_seed: int
    variant: str
    video: str
    video_sha256: str
    question_id: str
    kind: str
    question: str
    error: str


LISTS = ("options", "scores", "logits", "counts", "seconds", "relevant", "tags")
COLUMNS = tuple(f.name for f in fields(Record) if f.name not in LISTS)


@dataclass
class RecordFile:
    """Records and failures of one variant by question id, mirrored to ``path``; None: in memory.

    A question has a record or a failure, never both. Other processes may append to the same file:
    what they added is read before anything is written, and a question is written once.
    """

    path: Path | None
    facts: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    _read_bytes: int = 0  # of the file, all of them whole lines

    def find(self, question_id: str, video_sha256: str, question: str) -> Record | None:
        """The record of this very question about this very file, or None."""
        record = self.records.get(question_id)
        if record is None or (record.video_sha256, record.question) != (video_sha256, question):
            return None
        return record

    def add(self, made: Iterable[Record | Failure]) -> None:
        """Keep what was made and append it to the file in one write.

        Left out: what another process has recorded meanwhile of the same question.
        """
        made = list(made)
        if self.path is None or not made:
            self._keep(made)
            return
        with _lock(self.path):
            self._read_on(cut=True)
            fresh = [one for one in made if self._is_new(one)]
            self._keep(fresh)
            lines = "".join(json.dumps(vars(one)) + "\n" for one in fresh)  # asdict copies lists
            with self.path.open("ab") as stream:
                self._read_bytes += stream.write(lines.encode())

    def refresh(self) -> None:
        """Read what other processes have appended since."""
        if self.path is not None and self.path.exists():
            self._read_on(cut=False)

    def _is_new(self, one: Record | Failure) -> bool:
        known = self.find(one.question_id, one.video_sha256, one.question)
        if known is not None:
            return False
        return isinstance(one, Record) or self.failures.get(one.question_id) != one

    def _keep(self, made: Iterable[Record | Failure]) -> None:
        """Later ones replace earlier ones, but no failure replaces a record of the same file."""
        for one in made:
            if isinstance(one, Record):
                self.records[one.question_id] = one
                self.failures.pop(one.question_id, None)
            elif self.find(one.question_id, one.video_sha256, one.question) is None:
                self.records.pop(one.question_id, None)
                self.failures[one.question_id] = one

    def _read_on(self, cut: bool) -> None:
        """Keep the whole lines behind those read so far.

        A line that was cut off by an interruption is removed with ``cut``, else left out: it may
        be in the making. Only the holder of the lock may cut.
        """
        if self.path is None or not self.path.exists():
            return
        with self.path.open("r+b" if cut else "rb") as stream:
            stream.seek(self._read_bytes)
            text = stream.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._keep(_parsed(self.path, line) for line in whole.splitlines())
            self._read_bytes += len(whole)
            if cut and whole != text:
                stream.truncate(self._read_bytes)


def open_records(folder: Path | None, variant: str, facts: dict[str, Any]) -> RecordFile:
    """Records kept under these facts: ``variant-<hash of facts>.jsonl``, facts beside it.

    A last line cut off by an interruption is dropped, and its question answered again.
    """
    if folder is None:
        return RecordFile(None, facts)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant}-{digest(facts)[:16]}.jsonl"
    kept = RecordFile(path, facts)
    with _lock(path):
        if not path.exists():
            write_atomic(path.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
            path.touch()
        kept._read_on(cut=True)
    return kept


def read_records(path: Path) -> RecordFile:
    """A file of records and the facts beside it; a last line still being written is left out.

    RecordsError for a damaged line and for records of another version.
    """
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    found = RecordFile(path, facts)
    found.refresh()
    return found


def _parsed(path: Path, line: bytes) -> Record | Failure:
    try:
        fields_of_line = json.loads(line)
        return (Failure if "error" in fields_of_line else Record)(**fields_of_line)
    except ValueError as error:
        raise RecordsError(
            f"{path} is damaged: {error}; delete the line that begins {line[:40]!r}"
        ) from error
    except TypeError as error:
        raise RecordsError(
            f"{path.name} holds records of another version; evaluate its variant again"
        ) from error


def _lock(path: Path) -> FileLock:
    return FileLock(path.with_suffix(".lock"))


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
