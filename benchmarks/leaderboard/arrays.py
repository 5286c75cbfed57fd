"""Arrays as text inside JSON: lossless, small, and nothing of the benchmark's text in them."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from core.errors import DataError

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32")
TYPES = (*INTEGERS, "float32", "float64")


def pack(array: np.ndarray) -> dict[str, Any]:
    """The narrowest type that holds every number exactly, column by column, deflated, in base64."""
    narrow = array.astype(narrowest(array))
    raw = np.asfortranarray(narrow).tobytes(order="F")
    return {
        "type": str(narrow.dtype),
        "shape": list(narrow.shape),
        "zlib": base64.b64encode(zlib.compress(raw, 9)).decode("ascii"),
    }


def unpack(tree: dict[str, Any]) -> np.ndarray:
    """The numbers again, as float64."""
    try:
        if tree["type"] not in TYPES:
            raise ValueError(f"type {tree['type']!r}")
        raw = zlib.decompress(base64.b64decode(tree["zlib"], validate=True))
        flat = np.frombuffer(raw, dtype=np.dtype(tree["type"]).newbyteorder("<"))
        return flat.reshape(tree["shape"], order="F").astype(np.float64)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise DataError(f"packed numbers cannot be read: {error}") from None


def narrowest(array: np.ndarray) -> str:
    """Integers where all are, as narrow as they go; else floats, single where that is exact."""
    if np.all(np.isfinite(array)) and np.all(array == np.round(array)):
        for name in INTEGERS:
            limits = np.iinfo(name)
            if array.size == 0 or (limits.min <= array.min() and array.max() <= limits.max):
                return name
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return "float32" if np.array_equal(single.astype(np.float64), array, equal_nan=True) else "float64"
