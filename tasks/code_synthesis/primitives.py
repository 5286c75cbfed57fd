"""All that generated programs are composed of."""

from __future__ import annotations

from tasks.code_synthesis.number_primitives import NUMBERS
from tasks.code_synthesis.primitive import NAMES, Kind, Primitive
from tasks.code_synthesis.text_primitives import TEXTS

__all__ = ["NAMES", "PRIMITIVES", "Kind", "Primitive"]
PRIMITIVES = (*NUMBERS, *TEXTS)
