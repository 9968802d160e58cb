"""One line of the parity report: a quantity of a recorded case, or a recorded function table."""

from dataclasses import dataclass

import torch

RELEASE_RULE = "release rule, not our default"
STATED = "stated, no bound"


@dataclass(frozen=True)
class Row:
    """A quantity of one case: largest difference over ``num_values``, and the most allowed.

    ``tolerance`` 0 means equal; None means that the difference is stated and not bounded.
    ``note`` says where the release's rule was followed although it is not our default.
    """

    case: str
    quantity: str
    difference: float
    tolerance: float | None
    num_values: int
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.tolerance is None or self.difference <= self.tolerance  # False for NaN


@dataclass(frozen=True)
class TableRow:
    """A recorded function table: how many rows are equal, and how many differ by decision.

    ``decision`` is the row of DIFFERENCES.md that explains the latter; every other difference
    counts in ``num_unexplained``.
    """

    table: str
    num_rows: int
    num_equal: int
    num_by_decision: int = 0
    decision: str = ""

    @property
    def num_unexplained(self) -> int:
        return self.num_rows - self.num_equal - self.num_by_decision

    @property
    def ok(self) -> bool:
        return self.num_rows > 0 and self.num_unexplained == 0


def compare(
    case: str,
    quantity: str,
    ours: torch.Tensor,
    recorded: torch.Tensor,
    tolerance: float | None = 0.0,
    note: str = "",
) -> Row:
    """A row with the largest absolute difference; infinite where shapes differ."""
    difference = float("inf")
    if ours.shape == recorded.shape:
        gaps = (ours.detach().double() - recorded.double()).abs()
        difference = float(gaps.max()) if gaps.numel() else float("inf")
    return Row(case, quantity, difference, tolerance, recorded.numel(), note)
