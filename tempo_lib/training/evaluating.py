"""Evaluation while a stage trains: any callable, or the loss of samples that are not trained on."""

import json
from collections.abc import Sequence

import torch
from accelerate import PartialState

from tempo_lib.fingerprint import write_atomic
from tempo_lib.training.feed import Feed, to_device
from tempo_lib.training.frames import without_broken
from tempo_lib.training.records import Sample, TrainingError
from tempo_lib.training.trackers import Track
from tempo_lib.training.trainer import Trainer

EVALUATIONS = "evaluations.jsonl"  # beside the losses: what was measured after how many steps


def evaluate_at(trainer: Trainer, done: int, steps: int, track: Track) -> None:
    """Call the run's evaluation where one is due: at the start, every so often, and at the end.

    A run that goes on from a state repeats what came after it; there is one line per evaluation.
    """
    run = trainer.run
    if run.evaluate is None or (done % run.eval_every and done < steps):
        return
    found = {"done": done, **run.evaluate(trainer)}
    trainer.model.train()
    if trainer.ranks.is_main:
        file = run.out_dir / EVALUATIONS
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() and done else []
        before = [line for line in lines if json.loads(line)["done"] < done]
        write_atomic(file, "".join(f"{line}\n" for line in [*before, json.dumps(found)]))
        track({f"eval/{name}": value for name, value in found.items() if name != "done"}, done)


class HeldOutLoss:
    """The loss per target token of samples that the stage does not train on, whatever the ranks.

    Its first call reads their media: what is broken or too long is refused before any step.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        """TrainingError where there are none."""
        if not samples:
            raise TrainingError("no samples to evaluate on")
        self.samples = list(samples)
        self._feed: Feed | None = None

    def __call__(self, trainer: Trainer) -> dict[str, float]:
        """``loss``, ``targets`` and ``samples``; the model computes as at inference."""
        ranks, model = trainer.ranks, trainer.model
        feed = self._feed = self._feed or self._make_feed(trainer)
        model.eval()
        total = torch.zeros((), dtype=torch.float64, device=ranks.device)
        with torch.no_grad(), ranks.autocast():
            for step in feed.epoch(0):
                for batch in step.batches:
                    here = to_device(batch, ranks.device)
                    total += model(**here, num_targets=1).loss  # the sum, not the mean
        targets = sum(feed.targets)
        loss = ranks.total(total).item() / targets
        return {"loss": loss, "targets": targets, "samples": len(feed.samples)}

    def _make_feed(self, trainer: Trainer) -> Feed:
        run, collate = trainer.run, trainer.feed.collate
        with PartialState().main_process_first():  # the others find its frames
            broken = collate.store.prepare(self.samples)
        shown = without_broken(self.samples, broken, run.most_broken)
        collate.check_lengths(shown)
        return Feed(shown, collate, run.numbers, run.seed, trainer.ranks)
