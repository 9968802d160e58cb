"""What the check for numbers that are not finite costs an answer, in pairs with and without it.

`python tests/numerics_cost.py data_manifests/measurements/numerics_cost.json` (with the package
importable) writes the report. Processor seconds: other work on the machine does not count.
"""

import json
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from tempo_lib import Tempo
from tempo_lib.checkpoints.folders import find_checkpoint
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import make_story
from tempo_lib.model import decoding, numerics, session
from tempo_lib.provenance import provenance_facts
from tempo_lib.video.clip import Video

PAIRS, NUM_FRAMES = 60, 240
QUESTION = "Which number is shown with the red star? ({})"


@contextmanager
def unchecked():
    """The same code without its checks."""
    homes = ((session, "check_segments"), (decoding, "check_logits"), (numerics, "check_logits"))
    before = [getattr(*home) for home in homes]
    for module, name in homes:
        setattr(module, name, lambda *_: None)
    yield
    for (module, name), function in zip(homes, before, strict=True):
        setattr(module, name, function)


def seconds_of(function):
    started = time.process_time()
    function()
    return time.process_time() - started


def main(target):
    torch.set_num_threads(1)
    started, order = datetime.now(UTC), np.random.default_rng(0)
    model = Tempo.from_pretrained(find_checkpoint("tiny"))
    frames = render(make_story(np.random.default_rng(0), NUM_FRAMES), 0)
    opened = model.open(Video(frames, 2.0))
    opened.ask(QUESTION.format("warm-up"))
    with_it, without = [], []
    for pair in range(PAIRS):
        for is_checked in order.permutation([True, False]):
            ask = lambda pair=pair: opened.ask(QUESTION.format(pair))  # noqa: E731
            if is_checked:
                with_it.append(seconds_of(ask))
            else:
                with unchecked():
                    without.append(seconds_of(ask))
    ratios = np.array(with_it) / np.array(without)
    medians = [np.median(order.choice(ratios, PAIRS)) for _ in range(2000)]
    facts = {
        "made_by": "tests/numerics_cost.py",
        **provenance_facts(started, "tempo_lib.model.session", Path(__file__)),
        "what": "one question to an open session, miniature, processor seconds, one thread",
        "segments": opened.num_segments,
        "pairs": PAIRS,
        "median_seconds_checked": round(float(np.median(with_it)), 5),
        "median_seconds_unchecked": round(float(np.median(without)), 5),
        "ratio": round(float(np.median(ratios)), 4),
        "ratio_interval": [round(float(x), 4) for x in np.quantile(medians, [0.025, 0.975])],
    }
    Path(target).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print({name: facts[name] for name in ("segments", "ratio", "ratio_interval")}, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
