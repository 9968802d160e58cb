"""Linear probes: which memory position holds what about its segment.

A ridge classifier reads one position at a time and names an attribute. It is trained and scored
on different videos, beside the same classifier on shuffled labels. Labels come with the clips:
the procedural world knows its own; for real videos bring some to ``probe_positions``.

Shape suffixes: n rows (a segment under a question), K memory tokens, d channels, c classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.statistics.summaries import ALL
from tempo_lib.video.clip import Video

if TYPE_CHECKING:
    import pandas as pd

NUM_FOLDS = 5
RIDGE = 1.0  # weight of the penalty beside standardised channels


class LabelledClip(Protocol):
    """A clip and rows (segment, question, labels). A segment's first row has the question that its
    own actor answers; a label named relevance says yes there and no elsewhere."""

    @property
    def video(self) -> Video: ...

    @property
    def rows(self) -> Sequence[tuple[int, str, dict[str, str]]]: ...


@dataclass(frozen=True)
class ProbeData:
    """memories (n, K, d) float32, labels of n texts per attribute, groups (n,): the video.

    Relevance is "yes" where the question names the actor in sight. There, the question also tells
    shape and colour: whether the video tells them is seen on the other rows, ``part("no")``.
    """

    memories_nKd: np.ndarray
    labels: dict[str, np.ndarray]
    groups_n: np.ndarray

    def part(self, relevance: str) -> "ProbeData":
        """The rows of one relevance, "yes" or "no", without that label, which is then constant."""
        if relevance not in ("yes", "no"):
            raise ValueError(f"relevance must be one of yes, no, got {relevance!r}")
        rows = self.labels["relevance"] == relevance
        others = {name: v[rows] for name, v in self.labels.items() if name != "relevance"}
        return ProbeData(self.memories_nKd[rows], others, self.groups_n[rows])


@dataclass(frozen=True)
class Readings:
    """Which rows a probe of each position reads right, by attribute: hits (K, n), controls (K, n)
    on shuffled labels, and ``chance``, the accuracy of the majority class of the other folds."""

    hits: dict[str, np.ndarray]
    controls: dict[str, np.ndarray]
    chance: dict[str, float]


@dataclass(frozen=True)
class Readers:
    """Trained probes, one per position, whose outputs are the classes of all attributes in turn."""

    probes: list[Pipeline]
    classes: dict[str, np.ndarray]

    def read(self, memories_nKd: torch.Tensor, kept_nK: torch.Tensor) -> dict[str, list[str]]:
        """By attribute, the class that the kept positions of each row name together, their outputs
        added up; "" where none is kept. A probe names a class also where there is none to see."""
        features_nKd = memories_nKd.float().cpu().numpy()
        given_nK = kept_nK.cpu().numpy()
        outputs = [probe.predict(features_nKd[:, k]) for k, probe in enumerate(self.probes)]
        total_nc = np.einsum("Knc,nK->nc", np.stack(outputs), given_nK)
        ends = np.cumsum([len(names) for names in self.classes.values()])[:-1]
        parts = zip(self.classes.items(), np.split(total_nc, ends, axis=1), strict=True)
        kept_n = given_nK.any(1)
        return {
            name: np.where(kept_n, names[part.argmax(1)], "").tolist()
            for (name, names), part in parts
        }


def fit_readers(data: ProbeData) -> Readers:
    """Probes of every attribute, trained on all rows; how well they read others: ``readings``."""
    _check(data.memories_nKd, data.labels, data.groups_n)
    found = {name: np.unique(values, return_inverse=True) for name, values in data.labels.items()}
    one_hot_nc = np.hstack([np.eye(len(names))[code] * 2 - 1 for names, code in found.values()])
    features = np.moveaxis(np.asarray(data.memories_nKd, dtype=np.float64), 1, 0)
    probes = [_new_probe().fit(features_nd, one_hot_nc) for features_nd in features]
    return Readers(probes, {name: names for name, (names, _) in found.items()})


def collect_memories(
    model: Tempo, clips: Sequence[LabelledClip], prompt: str = "routing"
) -> ProbeData:
    """The memories of every labelled segment under its question; ValueError without any."""
    rows, labels, groups = [], [], []
    for group, clip in enumerate(clips):
        session = model.open(clip.video)
        compressed: dict[str, np.ndarray] = {}
        for segment, question, known in clip.rows:
            if question not in compressed:
                memories: torch.Tensor = session.compress(question, prompt).memories
                compressed[question] = memories.float().cpu().numpy()
            rows.append(compressed[question][segment])
            labels.append(known)
            groups.append(group)
    if not rows:
        raise ValueError(f"none of {len(clips)} clips has a labelled segment; draw more of them")
    named = {name: np.array([row[name] for row in labels]) for name in labels[0]}
    return ProbeData(np.stack(rows), named, np.array(groups))


def probe_positions(
    memories_nKd: np.ndarray, labels: Mapping[str, np.ndarray], groups_n: np.ndarray, seed: int
) -> "pd.DataFrame":
    """Columns attribute, position, accuracy, control, chance, n, from ``readings``."""
    import pandas as pd

    found = readings(memories_nKd, labels, groups_n, seed)
    rows = [
        {
            "attribute": name,
            "position": position,
            "accuracy": float(hit_n.mean()),
            "control": float(control_n.mean()),
            "chance": found.chance[name],
            "n": len(hit_n),
        }
        for name in labels
        for position, (hit_n, control_n) in enumerate(
            zip(found.hits[name], found.controls[name], strict=True)
        )
    ]
    return pd.DataFrame(rows)


def probe_table(data: ProbeData, seed: int) -> "pd.DataFrame":
    """``probe_positions`` of every attribute: relevance on all rows, the others where the question
    does not name them."""
    import pandas as pd

    relevance = {"relevance": data.labels["relevance"]}
    unnamed = data.part("no")
    tables = [
        probe_positions(part.memories_nKd, labels, part.groups_n, seed)
        for part, labels in ((unnamed, unnamed.labels), (data, relevance))
    ]
    return pd.concat(tables, ignore_index=True)


def probe_halves(data: ProbeData, seed: int) -> dict[str, Difference]:
    """Accuracy of a probe in the first half of the positions minus that in the second half.

    Paired by segment, with the video as the unit. "all": mean over the attributes that the
    question does not name; then each of them, and relevance.
    """
    unnamed = data.part("no")
    gains = _half_gains(unnamed, unnamed.labels, seed)
    found = {ALL: _difference(np.mean(list(gains.values()), axis=0), unnamed, seed)}
    found |= {name: _difference(gain_n, unnamed, seed) for name, gain_n in gains.items()}
    relevance = _half_gains(data, {"relevance": data.labels["relevance"]}, seed)
    return found | {name: _difference(gain_n, data, seed) for name, gain_n in relevance.items()}


def readings(
    memories_nKd: np.ndarray, labels: Mapping[str, np.ndarray], groups_n: np.ndarray, seed: int
) -> Readings:
    """Read every attribute from every position by cross-validation over videos.

    Videos (``groups_n``) are dealt into folds; each fold is read by a probe trained on the others,
    so all rows are scored. ``seed`` draws folds and shuffles. ValueError for labels of another
    number, a constant attribute, or fewer than 2 videos.
    """
    _check(memories_nKd, labels, groups_n)
    rng = np.random.default_rng(seed)
    codes = {name: np.unique(values, return_inverse=True)[1] for name, values in labels.items()}
    # a shuffled attribute is one more output of the same regression, so one fit serves them all
    outputs = [*codes.values(), *(rng.permutation(code) for code in codes.values())]
    one_hot = [np.eye(code.max() + 1)[code] * 2 - 1 for code in outputs]
    ends = np.cumsum([part.shape[1] for part in one_hot])[:-1]
    num_folds = min(NUM_FOLDS, len(np.unique(groups_n)))
    folds = GroupKFold(num_folds, shuffle=True, random_state=seed)
    probe = _new_probe()
    hits = []
    for features_nd in np.moveaxis(np.asarray(memories_nKd, dtype=np.float64), 1, 0):
        options = {"groups": groups_n, "cv": folds}
        read_nc = cross_val_predict(probe, features_nd, np.hstack(one_hot), **options)
        parts = zip(np.split(read_nc, ends, axis=1), outputs, strict=True)
        hits.append([part.argmax(1) == code for part, code in parts])
    stacked = [np.array(hit) for hit in zip(*hits, strict=True)]
    majority, blank = DummyClassifier(strategy="most_frequent"), np.zeros((len(groups_n), 1))
    chance = {
        name: float((cross_val_predict(majority, blank, code, **options) == code).mean())
        for name, code in codes.items()
    }
    by_name = zip(codes, stacked[: len(codes)], strict=True)
    controls = zip(codes, stacked[len(codes) :], strict=True)
    return Readings(dict(by_name), dict(controls), chance)


def _new_probe() -> Pipeline:
    return make_pipeline(StandardScaler(), Ridge(RIDGE))


def _half_gains(
    data: ProbeData, labels: Mapping[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """For every row, hits over the first half of the positions minus hits over the second."""
    hits = readings(data.memories_nKd, labels, data.groups_n, seed).hits
    middle = data.memories_nKd.shape[1] // 2
    return {name: hit[:middle].mean(0) - hit[middle:].mean(0) for name, hit in hits.items()}


def _difference(gain_n: np.ndarray, data: ProbeData, seed: int) -> Difference:
    videos = [str(group) for group in data.groups_n]
    return paired_difference(gain_n.tolist(), [0.0] * len(gain_n), videos, seed)


def _check(
    memories_nKd: np.ndarray, labels: Mapping[str, np.ndarray], groups_n: np.ndarray
) -> None:
    if memories_nKd.ndim != 3:
        raise ValueError(f"memories must be (n, K, d), got shape {memories_nKd.shape}")
    if not labels:
        raise ValueError("no attributes to probe; bring labels, or use collect_memories")
    for name, values in {**labels, "groups": groups_n}.items():
        if len(values) != len(memories_nKd):
            raise ValueError(f"{len(memories_nKd)} memories but {len(values)} labels of {name}")
        if len(np.unique(values)) < 2:
            raise ValueError(f"{name} has one value in all rows; collect more videos")
