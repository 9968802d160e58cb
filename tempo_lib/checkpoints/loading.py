"""Read a checkpoint folder safely: every tensor is known before one is read.

Only safetensors are read: a pickle can run code. Whatever is wrong with a folder is reported in
one line that names the file, before anything is half loaded.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3VLConfig,
)

from tempo_lib import prompts
from tempo_lib.checkpoints.config import TempoConfig
from tempo_lib.checkpoints.folders import CheckpointError

PathOrId = str | PathLike[str]  # a folder, or the id of a model on the Hugging Face hub
RELEASED_TYPE = "tempo_qwen"  # the model type of the released layout
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# tensors that a layout has no place for; beside the weights, where no loader of that layout looks
EXTRAS = "tempo_extras.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
DOWNLOADED = ("*.json", "*.safetensors", "*.txt", "*.jinja")


@dataclass(frozen=True)
class Stored:
    """One tensor on disk; dtype as safetensors spells it (``BF16``)."""

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size in bytes: the first number in a dtype's name is its bits (``F8_E4M3``)."""
        found = re.search(r"\d+", self.dtype)
        bits = 8 if found is None else int(found.group())  # BOOL has no number
        return torch.Size(self.shape).numel() * bits // 8

    def read(self) -> torch.Tensor:
        with _opened(self.file) as tensors:
            return tensors.get_tensor(self.name)

    def read_rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows ``start..stop`` alone, without reading the rest from disk."""
        with _opened(self.file) as tensors:
            return tensors.get_slice(self.name)[start:stop]


def local_folder(path_or_hub_id: PathOrId) -> Path:
    """A folder as it is; a hub id (one slash, nothing of that name on disk) is downloaded.

    CheckpointError, one line, when the hub and its cache do not give it.
    """
    path, name = Path(path_or_hub_id), str(path_or_hub_id)
    if path.exists() or path.is_absolute() or name.count("/") != 1 or name.startswith("."):
        return path
    try:
        return Path(snapshot_download(name, allow_patterns=list(DOWNLOADED)))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"cannot get {name} from the Hugging Face hub or its cache (HF_HOME): {reason}"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; CheckpointError that names a file which holds none."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {file}: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{file} holds a {type(found).__name__}, not an object")
    return found


def model_type(folder: Path) -> str:
    """The model type that ``config.json`` names; CheckpointError where there is no such file."""
    if not folder.is_dir():
        raise CheckpointError(f"no checkpoint at {folder}: the folder does not exist")
    config = folder / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{folder} holds no config.json, so it is not a checkpoint folder")
    return str(read_json(config).get("model_type"))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights; CheckpointError, one line, when there is none."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise CheckpointError(f"{folder} holds no tokenizer (tokenizer.json, or vocab.json)")
    try:
        # with a config it leaves ours alone, whose model type its own registry does not know
        return AutoTokenizer.from_pretrained(folder, config=Qwen3Config())
    except Exception as error:  # a damaged tokenizer.json raises plain Exception
        reason = " ".join(str(error).split())
        raise CheckpointError(f"cannot read the tokenizer in {folder}: {reason}") from error


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor of a folder by name, one file or sharded; headers are read, tensors are not.

    CheckpointError names a shard that is absent or damaged, tensors that the index promises and no
    shard holds, and folders with pickles alone.
    """
    index = folder / INDEX
    if index.is_file():
        return _from_index(folder, index)
    if (folder / SINGLE).is_file():
        return {one.name: one for one in _headers(folder / SINGLE)}
    others = sorted(path.name for path in folder.glob("*.safetensors") if path.name != EXTRAS)
    if others:
        raise CheckpointError(
            f"{folder} holds {_some(others)} but neither {SINGLE} nor {INDEX} that lists the shards"
        )
    pickles = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
    hint = f"; pickles ({_some(pickles)}) are refused: they can run code" if pickles else ""
    raise CheckpointError(f"{folder} holds no .safetensors weights{hint}")


def extra_tensors(folder: Path) -> dict[str, Stored]:
    """The tensors of ``tempo_extras.safetensors``; none where a folder has no such file."""
    file = folder / EXTRAS
    return {one.name: one for one in _headers(file)} if file.is_file() else {}


def check_layout(folder: PathOrId) -> str:
    """The model type of a local checkpoint folder; CheckpointError when it cannot be one.

    Its weights' headers are read too: a shard that is absent or cut short is named here.
    """
    path = Path(folder)
    kind, known = model_type(path), (TempoConfig.model_type, RELEASED_TYPE)
    if kind not in known:
        raise CheckpointError(
            f"{path / 'config.json'} is of model type {kind!r}; "
            f"this loader reads {' and '.join(known)}"
        )
    stored_tensors(path)
    return kind


def check_complete(name: object, report: dict[str, Any]) -> None:
    """CheckpointError that lists missing, unexpected and mis-shaped tensors of a load.

    ``report``: ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``, whose items are
    (name, shape in the file, shape in the model).
    """
    found = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "mismatched": sorted(
            f"{key} {tuple(stored)} for {tuple(wanted)}"
            for key, stored, wanted in report["mismatched_keys"]
        ),
    }
    listed = [f"{what}: {', '.join(keys)}" for what, keys in found.items() if keys]
    if listed:
        raise CheckpointError(f"{name} does not fit its config; {'; '.join(listed)}")


@contextmanager
def config_errors(folder: Path) -> Iterator[None]:
    """Whatever a checkpoint's config or names make fail inside becomes one CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{folder / 'config.json'} lacks the field {error}") from error
    except (OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"cannot read the checkpoint {folder}: {reason}") from error


def base_config(base: Path) -> Qwen3VLConfig:
    """A base compressor's config; CheckpointError when the folder holds another kind of model."""
    kind = model_type(base)
    if kind != Qwen3VLConfig.model_type:
        raise CheckpointError(f"{base} is of model type {kind!r}, not {Qwen3VLConfig.model_type}")
    config = AutoConfig.from_pretrained(base)
    config.name_or_path = ""  # the path of one machine has no place in a checkpoint
    return config


def relevance_rows(base: Path) -> torch.Tensor:
    """Rows Yes and No (2, D) of a base model's head; only these rows are read from disk."""
    stored, tokenizer = stored_tensors(base), load_tokenizer(base)
    vocabulary = tokenizer.get_vocab()
    missing = [word for word in (prompts.YES, prompts.NO) if word not in vocabulary]
    if missing:
        raise CheckpointError(f"its tokenizer has no single token for {' and '.join(missing)}")
    tied = base_config(base).tie_word_embeddings
    heads = ("lm_head.weight", "model.language_model.embed_tokens.weight")
    head = next((name for name in heads if name in stored and (tied or name == heads[0])), None)
    if head is None:
        raise CheckpointError(f"it holds no {heads[0]}" + (f" and no {heads[1]}" if tied else ""))
    ids = [vocabulary[word] for word in (prompts.YES, prompts.NO)]
    return torch.cat([stored[head].read_rows(i, i + 1) for i in ids])


def _from_index(folder: Path, index: Path) -> dict[str, Stored]:
    promised = read_json(index).get("weight_map")
    if not isinstance(promised, dict) or not promised:
        raise CheckpointError(f"{index} has no weight_map, so it lists no shards")
    shards = sorted(set(promised.values()))
    if SINGLE not in shards and (folder / SINGLE).is_file():
        raise CheckpointError(
            f"{folder} holds both {SINGLE} and {INDEX}, which does not list it; remove one of them"
        )
    absent = [shard for shard in shards if not (folder / shard).is_file()]
    if absent:
        raise CheckpointError(f"{index} names {_some(absent)}, which {folder} does not hold")
    found = {one.name: one for shard in shards for one in _headers(folder / shard)}
    lost = [
        f"{name} ({shard})"
        for name, shard in promised.items()
        if name not in found or found[name].file.name != shard
    ]
    if lost:
        raise CheckpointError(f"{index} promises tensors that their shards lack: {_some(lost)}")
    unlisted = sorted(found.keys() - promised.keys())
    if unlisted:
        raise CheckpointError(
            f"{index} does not list tensors that its shards hold: {_some(unlisted)}"
        )
    return found


def _headers(file: Path) -> Iterator[Stored]:
    with _opened(file) as tensors:
        for name in tensors.keys():  # noqa: SIM118  it is no dict
            part = tensors.get_slice(name)
            yield Stored(name, file, tuple(part.get_shape()), part.get_dtype())


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, "pt") as tensors:
            yield tensors
    except (SafetensorError, OSError, KeyError) as error:
        raise CheckpointError(
            f"{file} is damaged or cut short ({error}); copy or download it again"
        ) from error


def _some(names: list[str], most: int = 12) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
