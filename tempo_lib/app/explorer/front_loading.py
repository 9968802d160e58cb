"""``FrontLoadingExplorer``: brush which memories are kept, and see what they still tell.

With a model any set of memories is measured as it is brushed; saved effects need none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from tempo_lib.analysis.kept_memories import Effects, Measured, read_effects
from tempo_lib.app.explorer.front_end import script, style
from tempo_lib.app.explorer.payload import Film, film_of
from tempo_lib.app.explorer.widget import WidgetWithFigure

if TYPE_CHECKING:
    from tempo_lib.analysis.probes import Readers
    from tempo_lib.figures import DescribedFigure
    from tempo_lib.model.tempo import Tempo


class FrontLoadingExplorer(WidgetWithFigure):
    """One question under a model, memory by memory.

    ``candidates``: answers whose likelihood is shown (default: the one from all memories).
    ``readers``: probes whose readings are shown (``probes.fit_readers``). Saved effects:
    ``FrontLoadingExplorer.from_records``.
    """

    def __init__(
        self,
        model: "Tempo",
        video: Film,
        question: str,
        candidates: Sequence[str] = (),
        readers: "Readers | None" = None,
    ) -> None:
        session = model.open(video, keep_prefix=False)
        if session.segments.is_image:
            raise ValueError("an image has no segments to compare; open a video")
        memories = session.compress(question)
        chosen = tuple(candidates) or (model.decode(memories, question, adaptive=False).text,)
        measured = Measured(model, memories, question, chosen, readers)
        capacity, quarter = model.config.num_memory_tokens, model.config.num_memory_tokens // 4
        ends = {"head": range(quarter), "tail": range(capacity - quarter, capacity)}
        named = {f"{name} {quarter}": list(kept) for name, kept in ends.items()}
        self._start(measured.effects(named), video, measured)

    @classmethod
    def from_records(cls, records: Effects | str | Path, video: Film | None = None) -> Self:
        """Explore saved effects, or a file of them: a brush shows the nearest set that was saved.

        ValueError for a file of something else.
        """
        found = cls.__new__(cls)
        effects = records if isinstance(records, Effects) else read_effects(Path(records))
        found._start(effects, video, None)
        return found

    def figure(self) -> "DescribedFigure":
        """Likelihood shares of the candidates under every set measured so far."""
        from tempo_lib.figures.kept_memories import candidate_shares

        return candidate_shares(self.effects)

    def _start(self, effects: Effects, video: Film | None, measured: Measured | None) -> None:
        self._esm, self._css = script("front-loading"), style()
        super().__init__(can_ask=measured is not None)
        self.effects, self._measured = effects, measured
        why = "" if measured else "No pictures: pass the video, from_records(path, video)"
        film = film_of(video, np.array(effects.seconds), why)
        self.data = {"effects": effects.model_dump(), "film": film}
        self.on_msg(self._received)

    def _received(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        """Answer the browser, which keeps other memories."""
        if message.get("kind") != "keep" or self._measured is None:
            return
        try:
            kept_NK = torch.tensor([[int(one) for one in row] for row in message["kept"]]).bool()
            effect = self._measured.effect(kept_NK)
            self.send({"kind": "effect", "effect": effect.model_dump()})
        except (ValueError, KeyError, TypeError) as error:
            self.send({"kind": "say", "text": f"No answer: {error}"})
