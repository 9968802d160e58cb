"""What every stage's checkpoint can answer, and what a decoder answers from time tags alone."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tempo_lib import prompts
from tempo_lib.evaluation.benchmark import Benchmark, BenchmarkVideo
from tempo_lib.evaluation.variants import Variant, get_variant
from tempo_lib.miniature.world.corpus_specs import SUITE_SECONDS
from tempo_lib.miniature.world.language import num_segments, segment_seconds
from tempo_lib.model.decoding import greedy_answers
from tempo_lib.model.tempo import Tempo
from tempo_lib.statistics.summaries import ALL, difference_of, summarise
from tempo_lib.training.stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

TIMESTAMPS_ONLY = "timestamps only"
OF_TABLE_2A = {"stage2": "without-stage3", "stage3": "no-ata"}
SHORTEST_SUITE = min(SUITE_SECONDS, key=lambda name: SUITE_SECONDS[name])


def stage_variants(suite: str = SHORTEST_SUITE) -> list[Variant]:
    """One variant a stage: its checkpoint with whole memories, so that no budget interferes.

    Stages 0 and 1 have read at most two segments, so the suite of the shortest videos alone is
    asked of them. The last two are rows of Table 2 A, under whose names their records are kept.
    """
    whole = get_variant("no-ata")
    rows = {
        f"stage{stage}": replace(
            whole, name=f"stage{stage}", paper_row=None, checkpoint=f"stage{stage}"
        )
        for stage in STAGES
    }
    rows |= {stage: get_variant(name) for stage, name in OF_TABLE_2A.items()}
    asked = rows if suite == SHORTEST_SUITE else OF_TABLE_2A
    return [rows[stage] for stage in asked]


def named_by_stage(answers: "pd.DataFrame") -> "pd.DataFrame":
    """Answers of ``stage_variants`` with the stage as the variant's name."""
    stage_of = {name: stage for stage, name in OF_TABLE_2A.items()}
    return answers.assign(variant=answers["variant"].replace(stage_of))


@torch.no_grad()
def timestamps_only(model: Tempo, suite: Benchmark) -> "pd.DataFrame":
    """Ask the decoder every question of a suite with time tags and no memory tokens.

    What it gets right it guesses or reads off the tags. Columns are those of ``evaluate`` that
    an accuracy table reads, and the prediction.
    """
    import pandas as pd

    asked = [(video, question) for video in suite.videos for question in video.questions]
    embeds = [_without_memories(model, video, each.text) for video, each in asked]
    new, text = model.config.max_new_tokens, model.encoder
    answers = greedy_answers(model.decoder, embeds, new, text.special(prompts.IM_END))
    rows = []
    for (video, question), ids in zip(asked, answers, strict=True):
        prediction = text.tokenizer.decode(ids, skip_special_tokens=True).strip()
        row: dict[str, Any] = {"suite": suite.name, "world_seed": suite.world_seed}
        row |= {"variant": TIMESTAMPS_ONLY, "video": video.id, "question_id": question.id}
        row |= {"kind": question.group, "form": question.form}
        row |= {"question": question.text, "answer": question.answer, "prediction": prediction}
        row |= {"start": question.start, "stop": question.stop, "tokens_used": 0, "auc": np.nan}
        rows.append({**row, "correct": suite.score(question, prediction)})
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


def _without_memories(model: Tempo, video: BenchmarkVideo, question: str) -> torch.Tensor:
    """The decoder's usual prompt (L, D) with every memory token left out."""
    text = model.encoder
    ids = text.ids(prompts.system_parts(model.config.decoder_system_prompt))
    window = model.config.video_numbers.window
    for index in range(num_segments(video.num_frames, window)):
        ids += text.encode(prompts.timestamp(segment_seconds(index, window)))
    ids += text.ids(prompts.question_parts(question))
    none_0D = torch.zeros(0, model.projector.in_features, dtype=model.dtype, device=model.device)
    return model.embed(torch.tensor([ids], device=model.device), none_0D)[0]
