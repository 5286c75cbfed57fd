"""Arrays as text inside JSON: lossless, small, and nothing of the benchmark's text in them."""

from __future__ import annotations

import base64
import zlib
from math import prod
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
        kind = np.dtype(tree["type"]).newbyteorder("<")
        size = prod(map(whole, tree["shape"])) * kind.itemsize
        raw = zlib.decompressobj().decompress(base64.b64decode(tree["zlib"], validate=True), size + 1)
        if len(raw) != size:  # no more is inflated than is promised
            raise ValueError(f"not the {size:,} bytes of {tree['shape']}")
        flat = np.frombuffer(raw, dtype=kind)
        return flat.reshape(tree["shape"], order="F").astype(np.float64)
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise DataError(f"packed numbers cannot be read: {error}") from None


def whole(size: Any) -> int:
    """One size of a shape."""
    if type(size) is not int or not 0 <= size < 1 << 32:
        raise ValueError(f"{str(size)[:20]} is no size")
    return size


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
