"""Linear probes: which memory position tells what about its segment.

A ridge classifier reads one position at a time and names an attribute. It is trained and judged
on different videos, beside the same classifier on shuffled labels. Attributes come from the
stories of the procedural world; real videos have none, so for them bring labels of your own to
``probe_positions``.

Shape suffixes: n rows (a segment under a question), K memory tokens, d channels, c classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tempo_lib.miniature.world.language import ACTORS, FPS
from tempo_lib.miniature.world.questions import QUESTION_TEXT
from tempo_lib.miniature.world.rendering import render
from tempo_lib.miniature.world.scenes import Scene, Story, make_story
from tempo_lib.model.session import VideoSession
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.intervals import Difference, paired_difference
from tempo_lib.statistics.summaries import ALL as ALL_KINDS
from tempo_lib.video.clip import Video

if TYPE_CHECKING:
    import pandas as pd

ATTRIBUTES = ("shape", "colour", "tens", "ones", "place", "time", "relevance")
NUM_FOLDS = 5
TIME_BUCKETS = 4  # quarters of the video
RIDGE = 1.0  # weight of the penalty beside standardised channels


@dataclass(frozen=True)
class ProbeData:
    """memories (n, K, d) float32, labels of n texts an attribute, groups (n,): the video.

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


def collect_memories(
    model: Tempo, stories: Sequence[Story], size: int = 128, prompt: str = "routing", seed: int = 0
) -> ProbeData:
    """Two rows for every segment that shows one actor: asked for that actor, and for another.

    The other one is seen elsewhere in the video where there is such an actor. ``seed`` paints
    the stories and draws the others. Segments without an actor are left out: most attributes are
    of actors. ValueError when no segment is left.
    """
    rows, labels, groups = [], [], []
    window, stride = model.config.video_numbers.window, model.config.video_numbers.stride
    for group, story in enumerate(stories):
        rng = np.random.default_rng([seed, group])
        session = model.open(Video(render(story, [seed, group], size), fps=FPS))
        asked: dict[str, np.ndarray] = {}
        for segment, scene in actor_segments(story, window, stride):
            for actor in (str(scene.actor), _other_actor(rng, story, str(scene.actor))):
                if actor not in asked:
                    asked[actor] = _memories(session, actor, prompt)
                rows.append(asked[actor][segment])
                labels.append(_labels(scene, segment, session.num_segments, actor))
                groups.append(group)
    if not rows:
        raise ValueError(f"no segment of {len(stories)} stories shows one actor; draw more stories")
    named = {name: np.array([row[name] for row in labels]) for name in ATTRIBUTES}
    return ProbeData(np.stack(rows), named, np.array(groups))


def probe_positions(
    memories_nKd: np.ndarray,
    labels: Mapping[str, np.ndarray],
    groups_n: np.ndarray,
    seed: int,
    num_folds: int = NUM_FOLDS,
    ridge: float = RIDGE,
) -> "pd.DataFrame":
    """Columns attribute, position, accuracy, control, chance, n.

    Videos (``groups_n``) are dealt into folds; each fold is judged by a probe trained on the
    others, so n is all rows. ``control``: the same probe trained and judged on shuffled labels.
    ``chance``: always the commonest label of the training videos. ValueError for labels of
    another number, a constant attribute, or fewer than 2 videos.
    """
    import pandas as pd

    codes, read, folds_n = _readings(memories_nKd, labels, groups_n, seed, num_folds, ridge)
    rows = []
    for position, (is_right, control_is_right) in enumerate(read):
        for name, code in codes.items():
            share = {
                "accuracy": float(is_right[name].mean()),
                "control": float(control_is_right[name].mean()),
                "chance": _chance(code, folds_n),
            }
            rows.append({"attribute": name, "position": position, **share, "n": len(code)})
    order = {name: place for place, name in enumerate(labels)}
    table = pd.DataFrame(rows)
    return table.sort_values(
        ["attribute", "position"], key=lambda c: c.map(order) if c.name == "attribute" else c
    ).reset_index(drop=True)


def probe_table(data: ProbeData, seed: int) -> "pd.DataFrame":
    """``probe_positions`` of every attribute: relevance on all rows, the others where the question
    does not name them."""
    import pandas as pd

    relevance = {"relevance": data.labels["relevance"]}
    unasked = data.part("no")
    tables = [
        probe_positions(part.memories_nKd, labels, part.groups_n, seed)
        for part, labels in ((unasked, unasked.labels), (data, relevance))
    ]
    return pd.concat(tables, ignore_index=True)


def probe_halves(data: ProbeData, seed: int) -> dict[str, Difference]:
    """Accuracy of a probe in the first half of the positions minus that in the second half.

    Paired by segment, with the video as the unit. "all": mean over the attributes that the
    question does not name; then each of them, and relevance.
    """
    parts = [data.part("no"), data]
    found: dict[str, Difference] = {}
    halves: list[tuple[np.ndarray, np.ndarray]] = []
    for part, names in ((parts[0], tuple(parts[0].labels)), (parts[1], ("relevance",))):
        labels = {name: part.labels[name] for name in names}
        _, read, _ = _readings(part.memories_nKd, labels, part.groups_n, seed, NUM_FOLDS, RIDGE)
        video_n = [str(group) for group in part.groups_n]
        for name in names:
            right_Kn = np.array([is_right[name] for is_right, _ in read], dtype=float)
            middle = len(right_Kn) // 2
            first_n, second_n = right_Kn[:middle].mean(0), right_Kn[middle:].mean(0)
            measured = paired_difference(first_n.tolist(), second_n.tolist(), video_n, seed)
            found[name] = measured
            halves += [(first_n, second_n)] if part is parts[0] else []
    first_n, second_n = np.mean(halves, axis=0)
    video_n = [str(group) for group in parts[0].groups_n]
    whole = paired_difference(first_n.tolist(), second_n.tolist(), video_n, seed)
    return {ALL_KINDS: whole, **found}


def draw_stories(count: int, seed: int, num_frames: int = 64) -> list[Story]:
    """Stories of 8 segments at the usual window; no corpus is drawn this way."""
    return [make_story(np.random.default_rng([seed, 40, i]), num_frames) for i in range(count)]


def fit_ridge(features_nd: np.ndarray, targets_nc: np.ndarray, ridge: float) -> np.ndarray:
    """Weights (d + 1, c) of a ridge regression, the intercept last and unpenalised.

    Channels are standardised by ``_read``, so one penalty suits them all.
    """
    mean_d, mean_c = features_nd.mean(0), targets_nc.mean(0)
    centred_nd = features_nd - mean_d
    gram_dd = centred_nd.T @ centred_nd + ridge * np.eye(features_nd.shape[1])
    weights_dc = np.linalg.solve(gram_dd, centred_nd.T @ (targets_nc - mean_c))
    return np.vstack([weights_dc, mean_c - mean_d @ weights_dc])


def _readings(
    memories_nKd: np.ndarray,
    labels: Mapping[str, np.ndarray],
    groups_n: np.ndarray,
    seed: int,
    num_folds: int,
    ridge: float,
) -> tuple[dict[str, np.ndarray], list[list[dict[str, np.ndarray]]], np.ndarray]:
    """Codes of the labels, the fold of every row, and for every position which held-out rows
    were read right: [of the labels, of shuffled labels], attribute -> (n,)."""
    _check(memories_nKd, labels, groups_n)
    rng = np.random.default_rng(seed)
    codes = {name: np.unique(values, return_inverse=True)[1] for name, values in labels.items()}
    # a shuffled attribute is one more attribute, so that one fit serves them all
    shuffled = {name: rng.permutation(code) for name, code in codes.items()}
    folds_n = _deal(groups_n, num_folds, rng)
    memories = np.asarray(memories_nKd, dtype=np.float64)
    right = []
    for position in range(memories.shape[1]):
        read = _read(memories[:, position], [codes, shuffled], folds_n, ridge)
        tasks = zip(read, (codes, shuffled), strict=True)
        right.append([{name: said[name] == task[name] for name in task} for said, task in tasks])
    return codes, right, folds_n


def _read(
    features_nd: np.ndarray,
    tasks: Sequence[Mapping[str, np.ndarray]],
    folds_n: np.ndarray,
    ridge: float,
) -> list[dict[str, np.ndarray]]:
    """What held-out rows are read as, for every attribute of every task."""
    named = [(task, name) for task in range(len(tasks)) for name in tasks[task]]
    hot = [np.eye(tasks[task][name].max() + 1)[tasks[task][name]] * 2 - 1 for task, name in named]
    ends = np.cumsum([part.shape[1] for part in hot])[:-1]
    targets_nc = np.hstack(hot)
    read = [{name: np.empty_like(code) for name, code in task.items()} for task in tasks]
    for fold in np.unique(folds_n):
        held = folds_n == fold
        mean_d, spread_d = features_nd[~held].mean(0), features_nd[~held].std(0)
        scaled_nd = (features_nd - mean_d) / np.where(spread_d > 0, spread_d, 1.0)
        weights = fit_ridge(scaled_nd[~held], targets_nc[~held], ridge)
        judged_nc = scaled_nd[held] @ weights[:-1] + weights[-1]
        for (task, name), part in zip(named, np.split(judged_nc, ends, axis=1), strict=True):
            read[task][name][held] = part.argmax(1)
    return read


def _deal(groups_n: np.ndarray, num_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold (n,) of every row: videos are dealt out in random order, each as a whole."""
    names, place_n = np.unique(groups_n, return_inverse=True)
    fold_V = np.empty(len(names), dtype=np.int64)
    fold_V[rng.permutation(len(names))] = np.arange(len(names)) % min(num_folds, len(names))
    return fold_V[place_n]


def _chance(code_n: np.ndarray, folds_n: np.ndarray) -> float:
    """Accuracy of the commonest label of the other folds."""
    right = 0
    for fold in np.unique(folds_n):
        held = folds_n == fold
        right += int((code_n[held] == np.bincount(code_n[~held]).argmax()).sum())
    return right / len(code_n)


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


def actor_segments(story: Story, window: int, stride: int) -> Iterator[tuple[int, Scene]]:
    """Index and scene of every segment that shows one scene, with an actor."""
    for segment, start in enumerate(range(0, story.num_frames, stride)):
        seen = story.visible(start, start + window)
        if len(seen) == 1 and seen[0].actor is not None:
            yield segment, seen[0]


def _other_actor(rng: np.random.Generator, story: Story, actor: str) -> str:
    others = [name for name in story.appearances if name != actor]
    others = others or [name for name in ACTORS if name != actor]
    return others[int(rng.integers(len(others)))]


def _memories(session: VideoSession, actor: str, prompt: str) -> np.ndarray:
    question = QUESTION_TEXT["needle"].format(actor=actor)
    memories: torch.Tensor = session.compress(question, prompt).memories
    return memories.float().cpu().numpy()


def _labels(scene: Scene, segment: int, num_segments: int, asked: str) -> dict[str, str]:
    colour, shape = str(scene.actor).split()
    tens, ones = map(str, divmod(int(scene.code or 0), 10))
    time = str(TIME_BUCKETS * segment // num_segments)
    relevance = "yes" if asked == scene.actor else "no"
    values = (shape, colour, tens, ones, scene.place, time, relevance)
    return dict(zip(ATTRIBUTES, values, strict=True))
