"""What ``tempo doctor`` looks at: one section per function, each a list of findings.

A finding with ``problem`` makes the command end with exit code 1; what is optional is none.
"""

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FLASH_HINT = 'pip install --no-build-isolation "flash-attn>=2.8.3,<3" (needs a CUDA toolkit)'
READER_MODULES = {"pyav": "av", "decord": "decord"}
DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mpeg2video", "prores", "gif", "png", "mjpeg")
ENCODER = "libx264"  # the miniature writes its clips with it
LOW_DISK_GIGABYTES = 2.0  # a training of the miniature from nothing needs less
MOST_READ_GIGABYTES = 2.0  # of a checkpoint whose weights are read without being told to


class Finding(NamedTuple):
    """One line of a section."""

    name: str
    value: str
    problem: bool = False


def versions() -> Iterator[Finding]:
    """Python, and every library that results depend on."""
    import platform

    from tempo_lib.fingerprint import LIBRARIES, git_state, library_versions
    from tempo_lib.provenance import project_root

    yield Finding("python", f"{platform.python_version()}, {platform.system()}")
    yield Finding("machine", platform.machine())
    installed = library_versions()
    for library in LIBRARIES:
        yield Finding(library, installed.get(library, "not installed"))
    commit, is_dirty = git_state(project_root())
    yield Finding("commit", f"{commit}{', with changes' if is_dirty else ''}")


def device() -> Iterator[Finding]:
    """Where ``device="auto"`` puts a model, with which attention and how much memory."""
    import os

    import torch

    from tempo_lib.model.attention import resolve_attention, training_attention
    from tempo_lib.training.precision import resolve_precision

    on_gpu = torch.cuda.is_available()
    yield Finding("device", torch.cuda.get_device_name(0) if on_gpu else "cpu")
    if on_gpu:
        free, total = torch.cuda.mem_get_info(0)
        yield Finding("GPU memory", f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free")
        yield Finding("GPUs", str(torch.cuda.device_count()))
    names = ("SC_PAGE_SIZE", "SC_AVPHYS_PAGES", "SC_PHYS_PAGES")
    if set(names) <= set(getattr(os, "sysconf_names", {})):
        page, free, total = (os.sysconf(name) for name in names)
        yield Finding("memory", f"{page * free / 1e9:.1f} of {page * total / 1e9:.1f} GB free")
    yield Finding("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    yield Finding("attention", resolve_attention("auto"))
    yield Finding("attention in training", training_attention())
    yield Finding("training precision", resolve_precision("auto"))
    has_flash = importlib.util.find_spec("flash_attn") is not None
    missing = "not installed; optional" + (f": {FLASH_HINT}" if on_gpu else ", for GPUs only")
    yield Finding("flash-attn", "installed" if has_flash else missing)


def readers() -> Iterator[Finding]:
    """Each reader by importing it: a wheel that is there may still not load; and the codecs."""
    from tempo_lib.video.readers import READERS

    for reader in READERS:
        try:
            importlib.import_module(READER_MODULES[reader])
        except (ImportError, OSError) as error:
            reason = f"not usable: {' '.join(str(error).split())}"
            yield Finding(reader, reason, problem=reader == "pyav")  # the other is optional
        else:
            yield Finding(reader, "usable")
    yield from codecs()


def codecs() -> Iterator[Finding]:
    """What PyAV's own libraries decode, and whether they encode the miniature's clips."""
    try:
        import av
        from av.codec import Codec
    except (ImportError, OSError):
        return

    def has(name: str, mode: str) -> bool:
        try:
            Codec(name, mode)  # type: ignore[arg-type]
        except (ValueError, av.FFmpegError):
            return False
        return True

    missing = [name for name in DECODERS if not has(name, "r")]
    found = ", ".join(name for name in DECODERS if name not in missing)
    lacking = f"; not {', '.join(missing)}" if missing else ""
    yield Finding("decoders", found + lacking, problem="h264" in missing)
    yield Finding("encoder", ENCODER if has(ENCODER, "w") else f"no {ENCODER}: no clips are made")


def disk() -> Iterator[Finding]:
    """Free space where results, downloads and temporary files go."""
    import os

    from huggingface_hub.constants import HF_HUB_CACHE

    from tempo_lib.provenance import project_root

    places = {"results": project_root(), "downloads": Path(HF_HUB_CACHE)}
    places["temporary files"] = Path(tempfile.gettempdir())
    for name, place in places.items():
        there = next(path for path in (place, *place.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free / 1e9
        is_writable = os.access(there, os.W_OK)
        is_bad = name == "results" and (free < LOW_DISK_GIGABYTES or not is_writable)
        note = "" if is_writable else ", read-only"
        yield Finding(name, f"{free:.1f} GB free in {short(place)}{note}", is_bad)


def checkpoints(is_deep: bool = False) -> Iterator[Finding]:
    """Own or shipped folders of the miniature; of the paper's scale what the hub's cache holds.

    Each with its health: whether all headers can be read and all weights are finite. Large ones
    are read only where ``is_deep``.
    """
    from huggingface_hub import try_to_load_from_cache

    from tempo_lib.checkpoints.folders import (
        BASE_MODELS,
        CheckpointError,
        find_checkpoint,
        stage_names,
    )
    from tempo_lib.config import load_preset, preset_names
    from tempo_lib.provenance import is_rehearsal

    for preset in (load_preset(name) for name in preset_names() if not is_rehearsal(name)):
        if preset.miniature is not None:
            for name in (*BASE_MODELS, *stage_names(preset)):
                try:
                    folder = Path(find_checkpoint(preset, name))
                except CheckpointError:
                    missing = "missing; made by tempo train --preset tiny --from-scratch"
                    yield Finding(f"{preset.name} {name}", missing)
                else:
                    yield checkpoint(f"{preset.name} {name}", folder, is_deep)
            continue
        weights = preset.weights
        for hub_id in (weights.checkpoint, weights.base_compressor, weights.base_decoder):
            if hub_id is not None:
                name = f"{preset.name} {hub_id.split('/')[-1]}"
                path = try_to_load_from_cache(hub_id, "config.json")
                if isinstance(path, str):
                    yield checkpoint(name, Path(path).parent, is_deep)
                else:
                    yield Finding(name, f"not in the cache: {hub_id}")


def checkpoint(name: str, folder: Path, is_deep: bool) -> Finding:
    """The health of one folder: its size, and whether every weight is a finite number."""
    from tempo_lib.checkpoints.folders import CheckpointError
    from tempo_lib.checkpoints.loading import stored_tensors
    from tempo_lib.model.numerics import is_finite

    try:
        stored = stored_tensors(folder)
        gigabytes = sum(tensor.nbytes for tensor in stored.values()) / 1e9
        about = f"{short(folder)}: {len(stored)} tensors, {gigabytes:.3g} GB"
        if gigabytes > MOST_READ_GIGABYTES and not is_deep:
            return Finding(name, f"{about}, headers sound; --deep reads the weights")
        bad = [key for key, tensor in stored.items() if not is_finite(tensor.read().float())]
    except CheckpointError as error:
        return Finding(name, " ".join(str(error).split()), problem=True)
    if bad:
        listed = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        return Finding(name, f"{about}, NOT FINITE: {listed}", problem=True)
    return Finding(name, f"{about}, all finite")


def self_test() -> Iterator[Finding]:
    """A drawn clip is written, read, compressed and answered, twice and within a budget.

    Every part that an answer needs runs; what fails is named by its step.
    """
    from tempo_lib.checkpoints.folders import find_checkpoint
    from tempo_lib.model.tempo import Tempo
    from tempo_lib.video.clip import load_video

    budget, started, step = 40, time.perf_counter(), "draw and write a clip"
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            num_frames = _write_clip(path)
            step = "read it"
            video = load_video(path)
            if video.num_frames != num_frames:
                raise ValueError(f"{video.num_frames} frames of {num_frames}")
        step = "load the miniature"
        model = Tempo.from_pretrained(find_checkpoint("tiny"))
        step = "answer a question"
        session = model.open(video)
        first, again = (session.ask("Which place is seen most?", budget=budget) for _ in range(2))
        step = "keep the budget and repeat itself"
        if first.tokens_used > budget or first.token_ids != again.token_ids or not first.text:
            raise ValueError(f"{first.tokens_used} tokens, {first.text!r} and {again.text!r}")
    except Exception as error:  # whatever is wrong with this machine is what is to be said
        reason = " ".join(str(error).split()) or type(error).__name__
        yield Finding("self-test", f"cannot {step}: {type(error).__name__}: {reason}", problem=True)
        return
    seconds = time.perf_counter() - started
    yield Finding("self-test", f"ok in {seconds:.1f} s: {first.text!r}, {first.tokens_used} tokens")


def short(path: Path) -> str:
    """A path without the name of the user, so that a report can be shown."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _write_clip(path: Path) -> int:
    """Write 16 frames of a drawn story; returns their number."""
    import numpy as np

    from tempo_lib.miniature.world.clips import write_clip
    from tempo_lib.miniature.world.rendering import render
    from tempo_lib.miniature.world.scenes import make_story

    frames = render(make_story(np.random.default_rng(0), 16), 0)
    write_clip(path, frames)
    return len(frames)
