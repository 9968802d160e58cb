"""Memory positions in the order of what their loss costs, and answers from the first of that order.

Head and tail are two orders among many. If content gathers in a few positions, wherever these lie,
the best k of them answer more than the first k do. The order for a video is learnt from others, or
it would fit the questions that it is judged on.

Shape suffixes: N segments, K memory tokens, d channels.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tempo_lib.analysis.ablation import WHOLE
from tempo_lib.analysis.slices import decoded, each_question, question_row
from tempo_lib.evaluation.benchmark import Benchmark
from tempo_lib.model.tempo import Tempo

if TYPE_CHECKING:
    import pandas as pd

BEST = "best"
FOLDS = 2


def importance(ablated: "pd.DataFrame", gradients: "pd.DataFrame") -> "pd.DataFrame":
    """Columns position, cost, share, most important first.

    ``cost``: what knocking the position out costs (accuracy of whole memories minus without it,
    rows of ``ablated_answers``); ``share``: its mean share of the gradient, which orders positions
    of equal cost.
    """
    single = ablated[(ablated["first"] == ablated["last"]) & (ablated["first"] >= 0)]
    whole = ablated.loc[ablated["block"] == WHOLE, "correct"].mean()
    cost = whole - single.groupby("first")["correct"].mean()
    share = gradients.groupby("position")["share"].mean()
    table = cost.rename("cost").rename_axis("position").to_frame().join(share).reset_index()
    order = ["cost", "share", "position"]
    return table.sort_values(order, ascending=[False, False, True]).reset_index(drop=True)


def cross_fitted(ablated: "pd.DataFrame", gradients: "pd.DataFrame") -> dict[str, list[int]]:
    """Video -> the order of positions that the other fold of videos gives.

    Videos are dealt out to the folds in turns. ValueError for a single one: nothing is left to
    learn an order from.
    """
    videos = sorted(set(ablated["video"]))
    fold = {video: place % FOLDS for place, video in enumerate(videos)}
    if len(videos) < FOLDS:
        raise ValueError(f"an order is learnt from other videos, and there is {len(videos)} alone")
    orders = {}
    for number in range(FOLDS):
        others = [video for video in videos if fold[video] != number]
        parts = [frame[frame["video"].isin(others)] for frame in (ablated, gradients)]
        orders[number] = importance(*parts)["position"].tolist()
    return {video: orders[fold[video]] for video in videos}


def best_answers(
    model: Tempo,
    suite: Benchmark,
    orders: Mapping[str, Sequence[int]],
    ks: Sequence[int],
    prompt: str = "routing",
    progress: bool = True,
) -> "pd.DataFrame":
    """Rows as ``slice_answers`` gives them, scheme "best": the k first of each video's order.

    Kept memories stand as they stood, earlier positions first.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for video, question, memories in each_question(model, suite, prompt, progress):
        named = question_row(suite, video, question)
        kept = [memories.memories[:, sorted(orders[video.id][:k])] for k in ks]
        texts = decoded(model, memories, kept, question.text)
        for k, text in zip(ks, texts, strict=True):
            scored = {"prediction": text, "correct": suite.score(question, text)}
            rows.append({"scheme": BEST, "k": k, **named, **scored})
    return pd.DataFrame(rows)
