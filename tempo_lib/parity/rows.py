"""One line of the parity report: a quantity of a recorded case, or a recorded function table."""

from dataclasses import dataclass

import torch

RELEASE_RULE = "release rule, not our default"
STATED = "stated, no bound"
CASE_HEADER = ("case", "quantity", "largest difference", "tolerance", "values", "verdict")
TABLE_HEADER = ("table", "rows", "equal", "by decision", "unexplained", "verdict")


@dataclass(frozen=True)
class Row:
    """A quantity of one case: largest difference over ``num_values``, and the most allowed.

    ``tolerance`` 0 means equal; None means that the difference is stated and not bounded.
    ``note`` marks rows where the release's rule was followed although it is not our default.
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

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of ``CASE_HEADER``."""
        tolerance = STATED if self.tolerance is None else f"{self.tolerance:g}"
        verdict = "stated" if self.tolerance is None else "ok" if self.ok else "OUT OF TOLERANCE"
        quantity = self.quantity + (f" ({self.note})" if self.note not in ("", STATED) else "")
        difference = f"{self.difference:.2g}"
        return self.case, quantity, difference, tolerance, str(self.num_values), verdict


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

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of ``TABLE_HEADER``."""
        decision = str(self.num_by_decision)
        decision += f" ({self.decision})" if self.num_by_decision else ""
        counts = str(self.num_rows), str(self.num_equal), decision, str(self.num_unexplained)
        return self.table, *counts, "ok" if self.ok else "UNEXPLAINED"


def compare(
    quantity: str,
    ours: torch.Tensor,
    recorded: torch.Tensor,
    tolerance: float | None = 0.0,
    note: str = "",
) -> Row:
    """A row of no case yet with the largest absolute difference; infinite where shapes differ."""
    difference = float("inf")
    if ours.shape == recorded.shape and recorded.numel():
        difference = float((ours.detach().double() - recorded.double()).abs().max())
    return Row("", quantity, difference, tolerance, recorded.numel(), note)
