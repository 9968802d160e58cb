"""Memory of a rank and its decoding processes while 10,000 samples of an index go by.

``python -m tests.loader_memory FILE.json [NUM_SAMPLES]``. Every video sample shows another part of
its file, so that whatever kept decoded media would grow with each of them.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from tempo_lib import Tempo
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.config import LoaderNumbers, load_preset
from tempo_lib.miniature.world.clips import write_clip, write_image
from tempo_lib.provenance import provenance_facts
from tempo_lib.training.data import Manifest, Source
from tempo_lib.training.indexing import Wanted, open_index
from tempo_lib.training.preparing import make_feed
from tempo_lib.training.ranks import Ranks
from tempo_lib.training.run import StageRun
from tempo_lib.training.targets import OURS
from tests.training_samples import turn

NUM_FILES, SECONDS = 50, 8.0
BATCH = 20
MARKS = 10  # places at which memory is read


def write_world(root, num_samples):
    """Three of four samples are parts of clips, one is an image; the index of them all."""
    rng = np.random.default_rng(0)
    for n in range(NUM_FILES):
        shades = rng.integers(0, 255, (int(2 * SECONDS), 1, 1, 3))
        frames = np.broadcast_to(shades, (len(shades), 48, 64, 3)).astype(np.uint8)
        write_clip(root / f"{n}.mp4", frames)
        write_image(root / f"{n}.png", np.tile(frames[0], (1 + n % 5, 1 + n % 5, 1)))
    clips, images = [], []
    for n in range(num_samples):
        if n % 4 == 3:
            spoken = turn(f"<image>\nWhat is {n}?", "A star.")
            images.append({"id": f"i{n}", "image": f"{n % NUM_FILES}.png", "conversations": spoken})
        else:
            start = rng.uniform(0, SECONDS - 3)
            shown = {"start": start, "end": start + rng.uniform(1, 3)}
            spoken = turn(f"<video>\nWho is {n}?", "A star.")
            one = {"id": f"v{n}", "video": f"{n % NUM_FILES}.mp4", "conversations": spoken}
            clips.append({**one, **shown})
    kinds = {"clips": (clips, "video"), "images": (images, "image")}
    facts = {"licence": "Apache-2.0", "made_by": "tests/loader_memory.py", "note": ""}
    for name, (records, _) in kinds.items():
        (root / f"{name}.json").write_text(json.dumps(records))
    sources = tuple(
        Source(name=name, annotations=f"{name}.json", modality=kind, **facts)
        for name, (_, kind) in kinds.items()
    )
    manifest = Manifest(preset="tiny", stages={"stage1": sources})
    return open_index(Wanted(manifest, 1, root, OURS, 2.0, 0.0), root / "own.arrow")


def megabytes():
    """Of this process and its children, what they share counted once."""
    own = Path("/proc/self/task")
    children = [c for one in own.iterdir() for c in (one / "children").read_text().split()]
    total = 0
    for process in ("self", *children):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def measure(model, index, workers, num_samples):
    """Memory after each tenth of the samples."""
    numbers = load_preset("tiny").training.stages[1]
    fields = {"global_batch": BATCH, "batch_segments": None, "batch_samples": None}
    fields |= {"micro_tokens": 512}
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun(
            stage=1,
            numbers=numbers.model_copy(update=fields),
            out_dir=Path(folder),
            cache_dir=Path(folder),
            seed=0,
            loader=LoaderNumbers(streams=True, num_workers=workers, prefetch=2),
        )
        feed = make_feed(model, index, run, Ranks(0, 1, torch.device("cpu"), "no"))
        seen, marks = 0, []
        for step in feed.epoch(0):
            for _ in step.batches:
                pass
            seen += len(step.samples)
            if seen >= num_samples * (len(marks) + 1) / MARKS:
                marks.append(round(megabytes(), 1))
    return marks


def main(target, num_samples=10_000):
    torch.set_num_threads(1)
    started = datetime.now(UTC)
    model = Tempo.from_pretrained(find_checkpoint("tiny"))
    with tempfile.TemporaryDirectory() as folder:
        index = write_world(Path(folder), num_samples)
        marks = {str(workers): measure(model, index, workers, num_samples) for workers in (0, 2)}
    facts = {
        "made_by": "python -m tests.loader_memory",
        **provenance_facts(started, "tempo_lib.training.preparing", Path(__file__)),
        "what": "megabytes (PSS) of a rank and its decoding processes, by their number, after each "
        "tenth of the samples",
        "samples": num_samples,
        "megabytes": marks,
        "growth_from_the_second_tenth": {
            workers: round(found[-1] / found[1] - 1, 4) for workers, found in marks.items()
        },
    }
    Path(target).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(facts["growth_from_the_second_tenth"], file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
