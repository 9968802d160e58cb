"""What the miniature's parts say about themselves: cards and learning curves as tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempo_lib.checkpoints.loading import CheckpointError, find_checkpoint
from tempo_lib.config import Preset
from tempo_lib.miniature.world.questions import KINDS
from tempo_lib.training.stages import STAGE_NAMES, STAGES

if TYPE_CHECKING:
    import pandas as pd

BASES = ("base_decoder", "base_compressor", "reranker")
PARTS = (*BASES, *(f"stage{stage}" for stage in STAGES))
PHASES = ("vision", "language", "telling")  # of a base compressor, numbered in its losses.json
CURVE_FACTS = ("step", "longest", "loss")  # of the decoder's history; the rest are accuracies
CAPTION = "caption"


def find_parts(preset: Preset | str) -> dict[str, Path]:
    """Folder of every part that there is, your own run's before the shipped one's.

    Parts that nobody has trained are left out; CheckpointError when stage 3 is among them.
    """
    find_checkpoint(preset, "stage3")
    found = {}
    for name in PARTS:
        try:
            found[name] = Path(find_checkpoint(preset, name))
        except CheckpointError:
            continue
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a trained part. FileNotFoundError without one."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return card


def card_table(parts: Mapping[str, Path]) -> "pd.DataFrame":
    """One row a part: what it is, steps, samples, minutes, seed, loss at the end, what it can.

    A cell is empty where the card does not say. ``minutes`` are those of its training alone.
    """
    import pandas as pd

    rows = []
    for name, folder in parts.items():
        card = read_card(folder)
        stage = card.get("stage")
        rows.append(
            {
                "part": name,
                "what": "base model" if stage is None else STAGE_NAMES[stage],
                "steps": card.get("steps", _configured_steps(card)),
                "samples": card.get("samples", ""),
                "minutes": round(card["seconds"] / 60, 1) if "seconds" in card else "",
                "seed": card.get("seed", ""),
                "loss at the end": card.get("final_loss", ""),
                "accuracy, held out": _headline(card.get("accuracy", {})),
            }
        )
    return pd.DataFrame(rows).set_index("part")


def decoder_accuracy(card: Mapping[str, Any]) -> "pd.DataFrame":
    """Rows (segments, kind, accuracy, n) of a base decoder's card, kinds in the world's order."""
    import pandas as pd

    rows = [
        {"segments": int(length), "kind": kind, **cell}
        for length, cells in card["accuracy"].items()
        for kind, cell in cells.items()
    ]
    order = {kind: place for place, kind in enumerate([*KINDS, CAPTION])}
    table = pd.DataFrame(rows, columns=["segments", "kind", "accuracy", "n"])
    place = table["kind"].map(order)
    return table.assign(place=place).sort_values(["segments", "place"]).drop(columns="place")


def decoder_history(card: Mapping[str, Any]) -> "pd.DataFrame":
    """Rows (step, longest, loss, kinds ...): running accuracies at the longest transcript yet.

    Empty where the card has no curriculum.
    """
    import pandas as pd

    history = card.get("curriculum", {}).get("history", [])
    kinds = [kind for kind in KINDS if any(kind in record for record in history)]
    return pd.DataFrame(history, columns=[*CURVE_FACTS, *kinds])


def base_losses(folder: Path) -> "pd.DataFrame":
    """Rows (phase, step, loss) of a base compressor or reranker; phase by name."""
    import pandas as pd

    records = json.loads((folder / "losses.json").read_text(encoding="utf-8"))
    table = pd.DataFrame(records, columns=["phase", "step", "loss"])
    return table.assign(phase=[PHASES[int(phase)] for phase in table["phase"]])


def _configured_steps(card: Mapping[str, Any]) -> Any:
    """A base compressor's card lists the steps of its phases apart."""
    config = card.get("config", {})
    telling = (config.get("telling") or {}).get("steps", 0)
    return sum(config.get(key, 0) for key in ("vision_steps", "steps")) + telling or ""


def _headline(accuracy: Mapping[str, Any]) -> str:
    """``caption_4 0.98, ...`` for a flat card; the longest length for a card by length."""
    if not accuracy:
        return ""
    if all(isinstance(value, Mapping) for value in accuracy.values()):
        longest = max(accuracy, key=int)
        cells = [f"{kind} {cell['accuracy']:.2f}" for kind, cell in accuracy[longest].items()]
        return f"at {longest} segments: {', '.join(cells)}"
    return ", ".join(f"{name} {float(value):.2f}" for name, value in accuracy.items())
