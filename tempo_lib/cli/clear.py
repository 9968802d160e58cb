"""What a work folder keeps and what ``tempo train --fresh`` may delete: files of trainings alone.

Everything is checked before the first file goes. Files that no training writes stay where they are,
whatever folder was named.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tempo_lib.cli.common import InputError, bad_input

if TYPE_CHECKING:
    from tempo_lib.miniature.pretrain.build import Miniature

# What marks a folder as written by a training, a base model's one too, and all that it writes.
MARKS = ("losses.jsonl", "losses.json", "card.json", "state", "state.pt", "training.lock")
CHECKPOINT = (
    *("config.json", "generation_config.json", "model.safetensors*", "model-*.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"),
    *("vocab.json", "merges.txt", "added_tokens.json", "losses.json", "losses.jsonl", "card.json"),
    *(
        "skipped.json",
        "replaced.jsonl",
        "evaluations.jsonl",
        "state.pt",
        "state.tmp",
        "training.lock",
        ".*.partial",
    ),
    *("logs/tempo/events.out.tfevents.*", "logs/tempo/*/events.out.tfevents.*"),
    "logs/tempo/*/hparams.yml",
)
STATES = ("step-*", "progress.json", "*.safetensors", "*.bin", "*.pkl")  # in a folder ``state``
CORPUS_MARKS = ("spec.sha256", "corpus.json")
CORPUS = (*CORPUS_MARKS, "*.json", "images/*.png", "videos/*.mp4", ".*.partial")
FRAMES = ("[0-9a-f]" * 32 + ".npz", "*.part.npz")


def check_places(out: Path, data: Path, start: str | None, is_fresh: bool) -> None:
    """InputError for an --out that is a file, holds other things, or would cost data or start."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    if is_fresh:
        for option, place in (("--data", data), ("--start", Path(start) if start else None)):
            if place is not None and place.exists() and _overlap(out, place):
                raise InputError(
                    f"--fresh would delete from --out {out}, which is, holds or lies in {option} "
                    f"{place}; choose another --out"
                )
    foreign = foreign_checkpoint(out)
    if foreign:
        what = "delete" if is_fresh else "overwrite"
        fresh = "--fresh" if is_fresh else "a training"
        raise InputError(f"{fresh} would {what} {foreign}, which no training has written")


def foreign_checkpoint(folder: Path) -> Path | None:
    """The first file of a checkpoint's name in a folder that no training marks as its own."""
    if not folder.is_dir() or any((folder / name).exists() for name in MARKS):
        return None
    return next(_matching(folder, CHECKPOINT), None)


def going(mini: "Miniature", stage: int | None, from_scratch: bool, out: Path | None) -> list[Path]:
    """Folders of checkpoints and corpora that ``--fresh`` makes again: one stage, or everything."""
    return [*_checkpoints(mini, stage, from_scratch, out), *_corpora(mini, stage, from_scratch)]


def clear(mini: "Miniature", stage: int | None, from_scratch: bool, out: Path | None) -> None:
    """Delete what ``--fresh`` makes again: one stage, or everything in the work folder.

    InputError, before anything goes, where one of the folders was not written by a training or a
    training is at work in it.
    """
    from tempo_lib.training.progress import locked

    checkpoints = _checkpoints(mini, stage, from_scratch, out)
    corpora = _corpora(mini, stage, from_scratch)
    frames = [] if stage is not None and not from_scratch else [mini.folder("frames")]
    for folder in checkpoints:
        foreign = foreign_checkpoint(folder)
        if foreign:
            raise InputError(f"--fresh would delete {foreign}, which no training has written")
    for folder in filter(Path.is_dir, checkpoints):
        with bad_input(), locked(folder, True):
            pass  # another training's lock is its ValueError
    for folder in checkpoints:
        delete(folder, CHECKPOINT)
    for folder in corpora:
        if any((folder / name).is_file() for name in CORPUS_MARKS):
            delete(folder, CORPUS)
    for folder in frames:
        delete(folder, FRAMES)


def check_seed(
    mini: "Miniature", makes_base_models: bool = True, gone: Sequence[Path] = ()
) -> None:
    """InputError when the work folder grew from another seed: its finished parts would be kept.

    ``gone``: folders that --fresh is about to delete, whatever their seed.

    Base models that are given, as the shipped ones are to a single stage, keep their own seed.
    """
    from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, SUMMARY
    from tempo_lib.miniature.pretrain.build import base_seed, given_models

    given, seeds = given_models(mini), {}
    for name in (*BASE_MODELS, RERANKER):
        if makes_base_models and name not in given:
            seeds[mini.folder(name) / SUMMARY] = base_seed(mini, name)
    for stage in mini.preset.stages:
        seeds[mini.stage(stage) / SUMMARY] = mini.seed
        seeds[mini.folder("corpora") / f"stage{stage}" / "corpus.json"] = mini.seed
    for path, needed in seeds.items():
        if not path.is_file() or path.parent in gone:
            continue
        seed = json.loads(path.read_text(encoding="utf-8")).get("seed", needed)
        if seed != needed:
            raise InputError(
                f"{path.parent} was made with seed {seed}, not {needed}: "
                "add --fresh, or choose another --work"
            )


def _checkpoints(
    mini: "Miniature", stage: int | None, from_scratch: bool, out: Path | None
) -> list[Path]:
    from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER

    if stage is not None and not from_scratch:
        return [out or mini.stage(stage)]
    stages = [number for number in mini.preset.stages if stage is None or number <= stage]
    return [*map(mini.folder, (*BASE_MODELS, RERANKER)), *map(mini.stage, stages)]


def _corpora(mini: "Miniature", stage: int | None, from_scratch: bool) -> list[Path]:
    if stage is not None and not from_scratch:
        return []
    return sorted(mini.folder("corpora").glob("stage*"))


def delete(folder: Path, patterns: tuple[str, ...]) -> None:
    """Remove a folder's files of these names, and the folder where nothing else is in it."""
    if not folder.is_dir():
        return
    print(f"deleting {folder}", file=sys.stderr)
    for path in list(_matching(folder, patterns)):
        path.unlink()
    states = folder / "state"
    if patterns is CHECKPOINT and states.is_dir() and not states.is_symlink():
        for path in list(_matching(states, STATES)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    for path in (*inner, folder):
        if not any(path.iterdir()):
            path.rmdir()
    if folder.is_dir():
        left = sorted(path.name for path in folder.iterdir())
        print(f"kept in {folder}, as no training wrote it: {', '.join(left)}", file=sys.stderr)


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() or path.is_symlink() or patterns is STATES:
                yield path


def _overlap(one: Path, other: Path) -> bool:
    """Whether one of two paths is the other or lies in it, symbolic links followed."""
    first, second = one.resolve(), other.resolve()
    return first.is_relative_to(second) or second.is_relative_to(first)
