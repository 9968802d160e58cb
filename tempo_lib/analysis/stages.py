"""What every stage's checkpoint can answer, and what a decoder answers from timestamps alone."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tempo_lib import prompts
from tempo_lib.checkpoints.folders import stage_names
from tempo_lib.config import Preset, load_preset
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo, Question
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.model.decoder_prompt import MEMORY_PLACEHOLDER, Turn, decoder_ids
from tempo_lib.model.decoding import greedy_answers
from tempo_lib.model.processing import cut_windows
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.summaries import ALL, difference_of, summarise

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMPS_ONLY = "timestamps only"
SHORTEST_SUITE = "mini-longvideobench"


def stage_variants(
    suite: str = SHORTEST_SUITE, preset: Preset | str = "tiny"
) -> dict[str, Variant]:
    """Stage -> its checkpoint with whole memories, so that no budget interferes.

    The first stages have read at most two segments, so they are evaluated on the suite of the
    shortest videos alone. The last two are rows of Table 2 A, under whose names their records
    are kept.
    """
    names = stage_names(load_preset(preset) if isinstance(preset, str) else preset)
    whole = get_variant("no-ata")
    rows = {name: replace(whole, name=name, paper_row=None, checkpoint=name) for name in names[:-2]}
    late = dict(zip(names[-2:], (get_variant("without-stage3"), whole), strict=True))
    return rows | late if suite == SHORTEST_SUITE else late


def named_by_stage(answers: "pd.DataFrame", preset: Preset | str = "tiny") -> "pd.DataFrame":
    """Answers of ``stage_variants`` with the stage as the variant's name."""
    stage_of = {row.name: stage for stage, row in stage_variants(preset=preset).items()}
    return answers.assign(variant=answers["variant"].replace(stage_of))


@torch.no_grad()
def timestamps_only(model: Tempo, suite: Benchmark) -> "pd.DataFrame":
    """Every question of a suite, answered from timestamps without any memory token.

    What the decoder gets right it guesses or reads off the timestamps. Columns are those of
    ``evaluate`` that a table of accuracies reads, and the prediction.
    """
    import pandas as pd

    pairs = [(video, question) for video in suite.videos for question in video.questions]
    embeds = [_without_memories(model, video, question.text) for video, question in pairs]
    new, text = model.config.max_new_tokens, model.encoder
    answers = greedy_answers(model.decoder, embeds, new, text.special(prompts.IM_END))
    rows = []
    for (video, question), ids in zip(pairs, answers, strict=True):
        prediction = text.tokenizer.decode(ids, skip_special_tokens=True).strip()
        rows.append(_row(suite, video, question, prediction))
    return pd.DataFrame(rows)


def targets(answers: "pd.DataFrame", seed: int) -> "pd.DataFrame":
    """What the miniature should reach on a suite, and what it reached after stage 3.

    ``answers``: of ``stage_variants`` on one suite, ``named_by_stage``. Rows with target, measured,
    low, high (95 %), n and finding: "reached", or "not reached". The mean over kinds and the AUC
    have no interval here. The gain of stage 3 counts as reached when its interval lies above 0.
    """
    import pandas as pd

    last = answers[answers["variant"] == "stage3"]
    by_kind = summarise(last, ["variant"], ["kind"]).set_index("kind")
    kinds = by_kind.drop(index=ALL)
    gain = difference_of(answers, "stage3", "stage2", seed)
    rows: dict[str, list[Any]] = {
        "mean over kinds": [0.8, kinds["accuracy"].mean(), np.nan, np.nan, len(last)],
        "relevance AUC": [0.9, last["auc"].mean(), np.nan, np.nan, int(last["auc"].count())],
        "stage 3 minus stage 2": [0.0, gain.difference, gain.low, gain.high, gain.n],
    }
    if "needle" in kinds.index:
        cell = kinds.loc["needle"]
        rows["needle"] = [0.95, cell["accuracy"], cell["low"], cell["high"], int(cell["n"])]
    table = pd.DataFrame(rows, index=["target", "measured", "low", "high", "n"]).T
    reached = table["measured"] >= table["target"]
    reached["stage 3 minus stage 2"] = gain.low > 0
    return table.assign(finding=np.where(reached, "reached", "not reached"))


def _row(
    suite: Benchmark, video: BenchmarkVideo, question: Question, prediction: str
) -> dict[str, Any]:
    """One prediction with the columns of ``Record`` that need no memories."""
    return {
        "suite": suite.name,
        "world_seed": suite.world_seed,
        "variant": TIMESTAMPS_ONLY,
        "video": video.id,
        "question_id": question.id,
        "kind": question.group,
        "form": question.form,
        "question": question.text,
        "answer": question.answer,
        "start": question.start,
        "stop": question.stop,
        "prediction": prediction,
        "correct": suite.score(question, prediction),
        "tokens_used": 0,
        "auc": np.nan,
    }


def _without_memories(model: Tempo, video: BenchmarkVideo, question: str) -> torch.Tensor:
    """The decoder's usual prompt (L, D) with every memory token left out."""
    numbers = model.config.video_numbers
    clock_T = np.arange(video.num_frames) / numbers.fps
    windows = cut_windows(clock_T, numbers.fps, numbers.window, numbers.stride, temporal=1)
    turn = Turn(windows.seconds_N.tolist(), [1] * len(windows.seconds_N), question)
    ids = decoder_ids(model.encoder, model.config.decoder_system_prompt, turn)
    text = [token for token in ids if token != MEMORY_PLACEHOLDER]
    none_0D = torch.zeros(0, model.projector.in_features, dtype=model.dtype, device=model.device)
    return model.embed(torch.tensor([text], device=model.device), none_0D)[0]
