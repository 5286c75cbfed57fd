"""The verdict: expected values, which never enter the jail, against the texts that left it."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

from core.jail.job import Outcome, Value

Parsed = tuple[str, object]
NUMBER = "number"


def passed(outcome: Outcome, expected: Sequence[str], *, tolerance: float = 0.0) -> bool:
    """Whether the program ended and every call gave what was expected (canonical texts, one a call)."""
    if not expected:
        raise ValueError("a verdict needs at least one expected value: `done` is only what the program says of itself")
    return (
        outcome.why == "done"
        and len(outcome.values) == len(expected)
        and all(
            same(value, wanted, tolerance=tolerance) for value, wanted in zip(outcome.values, expected, strict=True)
        )
    )


def same(value: Value, expected: str, *, tolerance: float = 0.0) -> bool:
    """Python's `==` of plain data, floats within an absolute and relative tolerance; an exception equals nothing."""
    if not value.ok:
        return False
    return value.text == expected or alike(parsed(value.text), parsed(expected), tolerance)


def alike(one: Parsed, other: Parsed, tolerance: float) -> bool:
    """Structure by structure: nothing is hashed, so that no value can be chosen to make that slow."""
    (kind, inside), (other_kind, other_inside) = one, other
    if kind != other_kind:
        return False
    if isinstance(inside, tuple) and isinstance(other_inside, tuple):
        return len(inside) == len(other_inside) and all(
            alike(left, right, tolerance) for left, right in zip(inside, other_inside, strict=True)
        )
    if kind != NUMBER or inside == other_inside:
        return inside == other_inside
    return close(inside, other_inside, tolerance)


def close(one: object, other: object, tolerance: float) -> bool:
    """Whether two numbers are within the tolerance; whole numbers have none."""
    if tolerance == 0.0 or (isinstance(one, int) and isinstance(other, int)):
        return False
    if not isinstance(one, int | float | complex) or not isinstance(other, int | float | complex):
        return False
    try:
        left, right = complex(one), complex(other)
    except OverflowError:
        return False
    return math.isclose(left.real, right.real, rel_tol=tolerance, abs_tol=tolerance) and math.isclose(
        left.imag, right.imag, rel_tol=tolerance, abs_tol=tolerance
    )


def parsed(text: str) -> Parsed:
    """A canonical text as nested tuples; sets and dicts in an order in which equal numbers are equal."""
    return shape(ast.parse(text, mode="eval").body)


def shape(node: ast.expr) -> Parsed:
    """One node of it."""
    match node:
        case ast.Constant(value=bool() | int() | float() as found):
            return NUMBER, found
        case ast.Constant(value=value):
            return type(value).__name__, value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return NUMBER, -number(operand)
        case ast.Name(id="inf" | "nan" as name):
            return NUMBER, float(name)
        case ast.Call(func=ast.Name(id="complex"), args=[real, imaginary]):
            return NUMBER, complex(number(real), number(imaginary))
        case ast.Call(func=ast.Name(id="set" | "frozenset"), args=[]):
            return "set", ()
        case ast.Call(func=ast.Name(id="frozenset"), args=[inner]):
            return shape(inner)
        case ast.Set(elts=items):
            return "set", tuple(sorted(map(shape, items), key=order))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return type(node).__name__, tuple(map(shape, items))
        case ast.Dict(keys=keys, values=values):
            pairs = [(shape(key), shape(item)) for key, item in zip(keys, values, strict=True) if key is not None]
            return "dict", tuple(("pair", pair) for pair in sorted(pairs, key=lambda pair: order(pair[0])))
        case _:
            raise ValueError(f"no canonical text: {ast.unparse(node):.80}")


def number(node: ast.expr) -> int | float:
    """A node that stands for a real number."""
    _, found = shape(node)
    if not isinstance(found, int | float):
        raise ValueError(f"no number: {ast.unparse(node):.80}")
    return found


def order(item: Parsed) -> tuple[str, float, str]:
    """Numbers by size, so that 1, 1.0 and True stand in the same place; all else by its notation."""
    kind, inside = item
    if (
        kind == NUMBER
        and isinstance(inside, int | float)
        and not (isinstance(inside, int) and abs(inside) >= 1 << 1000)
    ):
        return kind, float(inside), ""
    return kind, 0.0, repr(inside)
