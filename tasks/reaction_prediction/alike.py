"""Two sources are the same if their molecules are, however they are spelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.data.alike import Alike
from tasks.reaction_prediction.chemistry import canonical
from tasks.reaction_prediction.reaction import ARROW


def molecules(source: Any) -> Sequence[str]:
    """All sides in canonical form; what is no molecule as it stands there."""
    return (">".join(canonical(side) or side for side in ARROW.split(str(source))),)


ALIKE = Alike(molecules, letters=0)
