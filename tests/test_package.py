import subprocess
import sys

import pytest

import tempo_lib
from tempo_lib.model.attention import VISION_BATCHED, resolve_attention, vision_attention

HEAVY = ("torch", "transformers", "decord", "av", "accelerate", "papermill", "pandas")


def test_importing_the_package_loads_nothing_heavy():
    program = f"import sys, tempo_lib; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("given", [["--help"], ["ask", "--help"], ["bench", "--list"]])
def test_a_help_page_imports_no_model_library(given):
    """Seconds differ from machine to machine; modules do not."""
    program = (
        "import sys\nfrom tempo_lib.cli.app import run\nassert run(sys.argv[1:]) == 0\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], len(sys.modules))"
    )
    command = [sys.executable, "-c", program, *given]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded, _, number = out.splitlines()[-1].rpartition(" ")
    assert loaded == "[]"
    assert int(number) < 600  # 353 to 451 of them; torch alone brings 900


def test_loading_a_model_needs_neither_decord_nor_notebooks():
    program = (
        "import sys\nfor name in ('decord', 'papermill', 'pandas', 'torchvision', 'flash_attn'):\n"
        "    sys.modules[name] = None\n"
        "from tempo_lib import Tempo, load_video, allocate, reduce_memories\n"
        "print(Tempo.__name__, load_video.__name__)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "Tempo load_video"


def test_every_public_name_resolves_and_others_are_refused_with_the_list():
    assert {"Tempo", "Video", "allocate", "load_video", "reduce_memories", "sample_indices"} <= set(
        dir(tempo_lib)
    )
    for name in tempo_lib.__all__:
        assert getattr(tempo_lib, name) is not None
    with pytest.raises(AttributeError, match="no 'tempo'; public names: Tempo, TempoConfig"):
        _ = tempo_lib.tempo


def test_attention_is_chosen_by_what_the_machine_has(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert resolve_attention("auto") == "sdpa"
    assert resolve_attention("eager") == "eager"
    assert vision_attention("auto") == VISION_BATCHED
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert resolve_attention("auto") == vision_attention("auto") == "flash_attention_2"
