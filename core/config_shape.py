"""What the annotations of a config class allow, in a form that validator, help text and documentation can walk."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from core.config import Bounds


@dataclass(frozen=True, slots=True)
class Scalar:
    """A TOML string, integer, float or boolean."""

    kind: type[str] | type[int] | type[float] | type[bool]
    bounds: tuple[Bounds, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """A list of any length, read as a tuple."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Table:
    """A nested config class, or several told apart by `kind`."""

    kinds: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """None, which TOML cannot say: written as "none"."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Not checked: the `task` of a RunConfig that knows no task."""


@dataclass(frozen=True, slots=True)
class Either:
    """The first of these that fits; at most one of them is a Table."""

    members: tuple[Shape, ...]


Shape = Scalar | Choice | Many | Table | Nothing | Anything | Either


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of a config class."""

    name: str
    shape: Shape
    default: Any
    """MISSING where the file has to say."""


@dataclass(frozen=True, slots=True)
class FieldOf:
    """One leaf key, as the documentation shows it."""

    key: str
    when: str
    """`model.kind = "rnn"` for a key that only this kind has; else empty."""
    type: str
    default: Any
    documentation: str


def shape_of(annotation: Any, place: str) -> Shape:
    """The shape of an annotation; one that TOML cannot fill is a mistake of the programmer."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return Anything()
    if annotation is type(None):
        return Nothing()
    if annotation in (str, int, float, bool):
        return Scalar(annotation)
    if origin is Annotated:
        inner, bounds = shape_of(arguments[0], place), tuple(one for one in arguments[1:] if isinstance(one, Bounds))
        return Scalar(inner.kind, inner.bounds + bounds) if isinstance(inner, Scalar) else inner
    if origin is Literal:
        return Choice(arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return Many(shape_of(arguments[0], place))
    if origin is Union or origin is types.UnionType:
        return _either([shape_of(one, place) for one in arguments])
    if isinstance(annotation, type) and is_dataclass(annotation):
        return Table((annotation,))
    raise TypeError(f"{place}: a config field cannot be {annotation!r}")


def _either(members: list[Shape]) -> Shape:
    tables = [one for one in members if isinstance(one, Table)]
    others: list[Shape] = [one for one in members if not isinstance(one, Table)]
    if tables:
        others.insert(0, Table(tuple(kind for table in tables for kind in table.kinds)))
    return others[0] if len(others) == 1 else Either(tuple(others))


@cache
def slots_of(kind: type) -> Mapping[str, Slot]:
    """The fields of a config class, in order."""
    hints, found = get_type_hints(kind, include_extras=True), dict[str, Slot]()
    for field in fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        shape = shape_of(hints[field.name], f"{kind.__module__}.{kind.__qualname__}.{field.name}")
        found[field.name] = Slot(field.name, shape, default)
    return types.MappingProxyType(found)


def table_of(shape: Shape) -> Table | None:
    """The table that a shape allows, also beside None."""
    if isinstance(shape, Either):
        return next((one for one in shape.members if isinstance(one, Table)), None)
    return shape if isinstance(shape, Table) else None


def kind_name(kind: type) -> str:
    """What `kind = ...` says to choose this class."""
    slot = slots_of(kind).get("kind")
    if slot is None or not isinstance(slot.shape, Choice):
        raise TypeError(f"{kind.__qualname__} is one of several config classes and needs `kind: Literal[...]`")
    return str(slot.shape.values[0])


def is_text(shape: Shape) -> bool:
    """Whether only strings fit (or a list of them), so that a command line needs no quotes."""
    match shape:
        case Scalar(kind):
            return kind is str
        case Choice(values):
            return all(isinstance(one, str) for one in values)
        case Either(members):
            return all(is_text(one) or isinstance(one, Nothing) for one in members)
        case Many(Scalar(kind)):
            return kind is str
        case _:
            return False


def describe(shape: Shape) -> str:
    """For people: "integer, at least 1"."""
    match shape:
        case Scalar(kind, bounds):
            name = {str: "text", int: "integer", float: "number", bool: "true or false"}[kind]
            return name + "".join(_limits(one) for one in bounds)
        case Choice((only,)):
            return str(only)
        case Choice(values):
            return "one of " + ", ".join(str(one) for one in values)
        case Many(Scalar(kind)) if kind is str:
            return "text or list of text"
        case Many(item):
            return f"list of ({describe(item)})"
        case Table((only,)) if "kind" not in slots_of(only):
            return "table"
        case Table(kinds):
            return "table of kind " + " or ".join(kind_name(one) for one in kinds)
        case Nothing():
            return '"none"'
        case Anything():
            return "anything"
        case Either(members):
            return " or ".join(describe(one) for one in members)


def demand(shape: Shape) -> str:
    """The same with its article, as in "must be an integer, at least 1"."""
    text = describe(shape)
    articles = {"integer": "an ", "number": "a ", "list": "a ", "table": "a "}
    return articles.get(text.split()[0].rstrip(","), "") + text


def _limits(bounds: Bounds) -> str:
    low, high = (f"{end:g}" if end is not None else None for end in (bounds.low, bounds.high))
    if low is not None and high is not None:
        return f" {'above' if bounds.open_low else 'from'} {low} to {'below ' if bounds.open_high else ''}{high}"
    if low is not None:
        return f", {'above' if bounds.open_low else 'at least'} {low}"
    if high is not None:
        return f", {'below' if bounds.open_high else 'at most'} {high}"
    return ""


def inside(value: float, bounds: Bounds) -> bool:
    """Whether a number is within bounds."""
    low, high = bounds.low, bounds.high
    above = low is None or (value > low if bounds.open_low else value >= low)
    below = high is None or (value < high if bounds.open_high else value <= high)
    return above and below


def fields_of(kind: type, prefix: str = "", when: str = "", default: Any = MISSING) -> Iterator[FieldOf]:
    """Every leaf key with its type, default and documentation; the tables of a union one kind after the other."""
    told = documentation_of(kind)
    for name, slot in slots_of(kind).items():
        key, value = prefix + name, slot.default
        if default is not MISSING and type(default) is kind:
            value = getattr(default, name)
        table = table_of(slot.shape)
        if table is None:
            meaning = told.get(name, "Chooses these keys." if name == "kind" and when else "")
            yield FieldOf(key, when, describe(slot.shape), value, meaning)
            continue
        for one in table.kinds:
            inner = f'{key}.kind = "{kind_name(one)}"' if len(table.kinds) > 1 else when
            yield from fields_of(one, f"{key}.", inner, value)


@cache
def documentation_of(kind: type) -> Mapping[str, str]:
    """Field name -> the string below it in the source; empty where there is none or no source at hand."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if not is_dataclass(owner):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
                case _:
                    pass
    return types.MappingProxyType(found)
