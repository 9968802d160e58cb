"""Records of variants that are right with a given share, for tests of claims and tables."""

import math

import numpy as np
import pandas as pd

NUM_VIDEOS, EACH = 30, 4


def answers(suites=("mini-mlvu",), seeds=(0,), skew=1.0, **accuracy):
    """Records of variants (``head_fixed=0.9``) whose answers are right with the given share."""
    rng = np.random.default_rng(0)
    num = NUM_VIDEOS * EACH
    parts = [
        pd.DataFrame(
            {
                "model_seed": seed,
                "suite": suite,
                "world_seed": 0,
                "variant": name.replace("_", "-"),
                "video": np.repeat([f"v{i}" for i in range(NUM_VIDEOS)], EACH),
                "question_id": [f"q{i}" for i in range(num)],
                "kind": ["needle", "after"] * (num // 2),
                "correct": rng.random(num) < share,
                "tokens_used": 60 if name == "ata" or name.endswith("_matched") else 59,
                "budget_bound": True,
                "matched_tokens": 60.0 if name.endswith("_matched") else math.nan,
                "capacity": 100,
                "skewness": skew,
            }
        )
        for seed in seeds
        for suite in suites
        for name, share in accuracy.items()
    ]
    return pd.concat(parts, ignore_index=True)
