"""What every test shares: one thread, no network, and where the recorded reference data lies."""

import os
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]
HUB_ALLOWED = os.environ.get("TEMPO_TEST_HUB") == "1"

# Set before any test imports a library that reads them once, at import.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "0" if HUB_ALLOWED else "1"


@pytest.fixture(scope="session", autouse=True)
def single_torch_thread():
    """Small tensors are slower on many threads, and sums then depend on their number."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repo_root():
    return REPO_ROOT


@pytest.fixture(scope="session")
def golden_dir():
    """What the published implementation was recorded to compute."""
    return REPO_ROOT / "tests" / "data" / "golden"


@pytest.fixture(scope="session")
def shared_dir():
    """The folder ``shared`` beside the repository: real clips, not in git."""
    folder = REPO_ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder 'shared' beside the repository: recorded reference data is absent")
    return folder


@pytest.fixture(scope="session")
def make_tiny_tempo():
    """``make_tiny_tempo(seed=0)``: an untrained Tempo of the tiny preset's shape."""
    import torch
    from transformers import Qwen3Config

    from tempo_lib import prompts
    from tempo_lib.checkpoints.config import config_from_preset
    from tempo_lib.config import load_preset
    from tempo_lib.miniature.pretrain.build import compressor_config
    from tempo_lib.miniature.world.tokenizer import build_tokenizer
    from tempo_lib.model.tempo import Tempo

    def make(seed=0):
        preset, tokenizer = load_preset("tiny"), build_tokenizer(prompts.all_texts())
        decoder = Qwen3Config(**preset.model.decoder.as_config(), vocab_size=len(tokenizer))
        config = config_from_preset(preset, compressor_config(preset, tokenizer), decoder)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Tempo(config, tokenizer).eval()
        model.compressor.init_memory_tokens(generator)
        rows = model.compressor.relevance_rows
        rows.copy_(torch.randn(rows.shape, generator=generator))
        return model

    return make


@pytest.fixture(scope="session")
def tiny_tempo(make_tiny_tempo):
    """One untrained Tempo that every test may read and none may change."""
    return make_tiny_tempo()


@pytest.fixture
def fresh_tiny_tempo(make_tiny_tempo):
    """An untrained Tempo of this test's own."""
    return make_tiny_tempo()


def pytest_collection_modifyitems(items):
    """Tests marked gpu or hub skip themselves where they cannot run."""
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        no_gpu = not torch.cuda.is_available()
    else:
        no_gpu = False
    for item in items:
        if no_gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
        if not HUB_ALLOWED and item.get_closest_marker("hub"):
            item.add_marker(pytest.mark.skip(reason="needs the hub: set TEMPO_TEST_HUB=1"))
