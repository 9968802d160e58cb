"""``tempo doctor``: what is installed, what a model would run on, which checkpoints are here."""

import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache
from rich.markup import escape

from tempo_lib.attention import resolve_attention
from tempo_lib.checkpoints import CheckpointError, find_checkpoint
from tempo_lib.commands.show import screen
from tempo_lib.presets import PRESETS, load_preset
from tempo_lib.readers import READERS
from tempo_lib.runs import LIBRARIES, library_versions

FLASH_HINT = 'pip install --no-build-isolation "flash-attn>=2.8.3,<3" (needs a CUDA toolkit)'
BASES = ("base_compressor", "base_decoder")
STAGES = tuple(f"stage{stage}" for stage in range(4))
READER_MODULES = {"pyav": "av", "decord": "decord"}


def run() -> int:
    """Print every finding; none of them is an error of the command."""
    console = screen()
    sections = {
        "Versions": versions(),
        "Device": device(),
        "Video readers": readers(),
        "Checkpoints": checkpoints(),
    }
    for title, lines in sections.items():
        console.print(f"[bold]{title}[/bold]")
        for name, value in lines:
            console.print(f"  {escape(f'{name:<24}')}{escape(value)}")
    return 0


def versions() -> Iterator[tuple[str, str]]:
    """Python, and every library that results depend on."""
    yield "python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    installed = library_versions()
    for library in LIBRARIES:
        yield library, installed.get(library, "not installed")


def device() -> Iterator[tuple[str, str]]:
    """Where ``device="auto"`` puts a model, and with which attention."""
    on_gpu = torch.cuda.is_available()
    yield "device", torch.cuda.get_device_name(0) if on_gpu else "cpu"
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    yield "attention", resolve_attention("auto")
    has_flash = importlib.util.find_spec("flash_attn") is not None
    missing = "not installed; optional" + (f": {FLASH_HINT}" if on_gpu else ", for GPUs only")
    yield "flash-attn", "installed" if has_flash else missing


def readers() -> Iterator[tuple[str, str]]:
    """Each reader by importing it: a wheel that is there may still not load."""
    for reader in READERS:
        try:
            import_module(READER_MODULES[reader])
        except (ImportError, OSError) as error:
            yield reader, f"not usable: {' '.join(str(error).split())}"
        else:
            yield reader, "usable"


def checkpoints() -> Iterator[tuple[str, str]]:
    """Own or shipped folders of the miniature; of the paper's scale what the hub's cache holds."""
    for preset_name in PRESETS:
        preset = load_preset(preset_name)
        if preset.miniature is not None:
            for name in (*BASES, *STAGES):
                yield f"{preset_name} {name}", _found(preset_name, name)
            continue
        weights = preset.weights
        for hub_id in (weights.checkpoint, weights.base_compressor, weights.base_decoder):
            if hub_id is not None:
                yield f"{preset_name} {hub_id.split('/')[-1]}", _cached(hub_id)


def _found(preset: str, name: str) -> str:
    try:
        return str(find_checkpoint(preset, name))
    except CheckpointError:
        return "missing; made by tempo train --preset tiny --from-scratch"


def _cached(hub_id: str) -> str:
    path = try_to_load_from_cache(hub_id, "config.json")
    return str(Path(path).parent) if isinstance(path, str) else f"not in the cache: {hub_id}"
