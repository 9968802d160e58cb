"""The paper's scale once, end to end on a CPU: 6.16 B random bf16 parameters, one real segment.

Deselected by default (minutes, 14 GB): ``pytest -m slow tests/test_full_size.py``. It shows that
shapes, positions and memory work at full size; random weights say nothing about answers. Writes
``data_manifests/measurements/full_size_cpu.json``.
"""

import json
import os
import resource
import sys
import time
from contextlib import contextmanager

import pytest
import torch
from transformers import PreTrainedTokenizerFast
from transformers.initialization import no_init_weights

from tempo_lib import Tempo, TempoConfig, allocate, load_video

CLIP = "chthomos_bbb-480p-30sec.mp4"
CHUNK = 1 << 24  # values drawn at a time: 64 MB of float32
NEEDED_GIGABYTES = 16


def available_gigabytes():
    with open("/proc/meminfo") as file:
        facts = dict(line.split(":") for line in file)
    return int(facts["MemAvailable"].split()[0]) / 1e6


def peak_rss_gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts kilobytes


@contextmanager
def phase(seconds, name):
    started = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - started, 1)
    print(f"{name}: {seconds[name]} s, peak {peak_rss_gigabytes():.1f} GB")


def build(tokenizer):
    """A full-size Tempo in bf16, no float32 copy; values come from ``fill``."""
    with no_init_weights():
        model = Tempo._from_config(TempoConfig(), dtype=torch.bfloat16)
    model.tie_weights()
    model.attach_tokenizer(tokenizer)
    return model.eval()


def fill(model, seed):
    """Random weights in chunks: norms 1, biases 0, the rest normal with a spread of 0.02."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if "inv_freq" in name:
            continue
        flat = tensor.detach().view(-1)
        if name.endswith("norm.weight") or ".norm1." in name or ".norm2." in name:
            flat.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        if name.endswith("bias"):
            flat.zero_()
            continue
        for part in flat.split(CHUNK):
            part.copy_(torch.randn(len(part), generator=generator) * 0.02)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@torch.no_grad()
def test_the_full_size_answers_about_a_real_segment_within_24_gigabytes(shared_dir, repo_root):
    if not sys.platform.startswith("linux"):
        pytest.skip("reads the free memory from /proc/meminfo")
    if available_gigabytes() < NEEDED_GIGABYTES:
        pytest.skip(f"needs {NEEDED_GIGABYTES} GB of free memory, has {available_gigabytes():.0f}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(shared_dir / "tokenizer/tokenizer.json"))
    seconds: dict[str, float] = {}
    with phase(seconds, "read"):
        video = load_video(shared_dir / "videos" / CLIP, max_frames=8)
    with phase(seconds, "build"):
        model = build(tokenizer)
    with phase(seconds, "fill"):
        fill(model, seed=0)
    with phase(seconds, "compress"):
        memories = model.compress(video, "What happens in this clip?")
    with phase(seconds, "allocate"):
        counts = allocate(memories.scores, budget=64, k_min=4, k_max=128)
    with phase(seconds, "decode"):
        answer = model.decode(memories, "What happens?", counts=counts, max_new_tokens=1)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert num_parameters == 6_155_507_712
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert memories.memories.shape == (1, 128, 2048)
    assert bool(memories.memories.isfinite().all())
    assert bool(((memories.scores > 0) & (memories.scores < 1)).all())
    assert counts.tolist() == [64]
    assert len(answer.token_ids) == 1
    peak = peak_rss_gigabytes()
    assert peak < 24
    record = {
        "parameters": num_parameters,
        "dtype": "bfloat16",
        "frames": len(video.frames),
        "clip": CLIP,
        "frame_height_width": list(video.frames.shape[1:3]),
        "seconds": seconds,
        "peak_rss_gigabytes": round(peak, 2),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "weights": "random, seed 0",
    }
    folder = repo_root / "data_manifests/measurements"
    folder.mkdir(exist_ok=True)
    (folder / "full_size_cpu.json").write_text(json.dumps(record, indent=2) + "\n")
