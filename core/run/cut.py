"""Outputs that reached the length limit are no answers of the model's choosing: how many there were is always said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.record import Prediction


@dataclass(slots=True)
class Cut:
    """Of the outputs counted so far."""

    outputs: int = 0
    cut: int = 0

    def count(self, predictions: Sequence[Prediction]) -> None:
        """The best hypothesis of each; what was refused has none."""
        best = [one.hypotheses[0] for one in predictions if one.hypotheses]
        self.outputs += len(best)
        self.cut += sum(one.finish == "length" for one in best)

    @property
    def words(self) -> str:
        """Empty where none was cut."""
        if not self.cut:
            return ""
        share = f"({100 * self.cut / self.outputs:.1f} %)"
        what = f"1 output {share} was" if self.cut == 1 else f"{self.cut:,} outputs {share} were"
        return f"{what} cut at the length limit (search.length_ratio, search.length_extra)"
