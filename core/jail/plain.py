"""Plain data as JSON that forgets nothing, and as canonical text. Inside the jail data becomes JSON; outside, JSON becomes text.

What comes from inside is hostile: it is decoded without a hash table of the program's choosing, without eval, without deep
recursion, and whatever does not fit is a ValueError.
"""

from __future__ import annotations

from typing import Any, cast

DEEPEST = 60
LARGEST_INT = 1 << 53
LONGEST_DECIMAL = 12_000  # bits; longer integers are written in hexadecimal, which takes linear time


class NotPlain(TypeError):
    """A value that has no canonical text: an instance of a class, a function, a generator."""


def tree(value: object, depth: int = DEEPEST) -> Any:
    """JSON for None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, and their subclasses."""
    if depth == 0:
        raise NotPlain(f"nested deeper than {DEEPEST}")
    below = depth - 1
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case int():
            number = int(value)
            return number if -LARGEST_INT < number < LARGEST_INT else {"i": f"{number:x}"}
        case float():
            return {"f": float(value).hex()}
        case complex():
            return {"c": [value.real.hex(), value.imag.hex()]}
        case bytes() | bytearray():
            return {"b": value.hex()}
        case list():
            return [tree(item, below) for item in cast("list[object]", value)]
        case tuple():
            return {"t": [tree(item, below) for item in cast("tuple[object, ...]", value)]}
        case dict():
            pairs = cast("dict[object, object]", value).items()
            return {"d": [[tree(key, below), tree(item, below)] for key, item in pairs]}
        case set():
            return {"s": [tree(item, below) for item in cast("set[object]", value)]}
        case frozenset():
            return {"z": [tree(item, below) for item in cast("frozenset[object]", value)]}
        case _:
            raise NotPlain(f"{type(value).__name__} is no plain data")


def text(node: Any, depth: int = DEEPEST) -> str:
    """The canonical text of JSON made by `tree`, which may be anyone's: Python's notation, sets and dicts in order of their texts."""
    if depth == 0:
        raise ValueError(f"nested deeper than {DEEPEST}")
    below = depth - 1
    if node is None or isinstance(node, bool | str):
        return repr(node)
    if isinstance(node, int):
        return written(node)
    if isinstance(node, list):
        return f"[{', '.join(texts(node, below))}]"
    if not isinstance(node, dict) or len(cast("dict[str, Any]", node)) != 1:
        raise ValueError("not what the jail writes")
    ((tag, inner),) = cast("dict[str, Any]", node).items()
    match tag, inner:
        case "i", str():
            return written(int(inner, 16))
        case "f", str():
            return repr(float.fromhex(inner))
        case "c", [str() as real, str() as imaginary]:
            return f"complex({float.fromhex(real)!r}, {float.fromhex(imaginary)!r})"
        case "b", str():
            return repr(bytes.fromhex(inner))
        case "t", list():
            items = texts(inner, below)
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        case "d", list():
            pairs = sorted((text(key, below), text(item, below)) for key, item in cast("list[list[Any]]", inner))
            return f"{{{', '.join(f'{key}: {item}' for key, item in pairs)}}}"
        case "s", list():
            return f"{{{', '.join(sorted(texts(inner, below)))}}}" if inner else "set()"
        case "z", list():
            return f"frozenset({{{', '.join(sorted(texts(inner, below)))}}})" if inner else "frozenset()"
        case _:
            raise ValueError(f"not what the jail writes: {tag!r:.20}")


def texts(nodes: list[Any], depth: int) -> list[str]:
    """The texts of the parts of a container."""
    return [text(node, depth) for node in nodes]


def written(number: int) -> str:
    """Decimal where that is quick and allowed."""
    return str(number) if number.bit_length() <= LONGEST_DECIMAL else hex(number)


def canonical(value: object) -> str:
    """The text that a call's value has when it is this data; made of expected values, outside, to compare with."""
    return text(tree(value))
