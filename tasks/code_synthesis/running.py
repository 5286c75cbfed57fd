"""Generated code, run in the jail and nowhere else. Expected results never go in: they are compared with what comes out."""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import BadRecord
from core.record import Record
from tasks.code_synthesis.config import CodeConfig

if TYPE_CHECKING:
    from core.jail import Jail, Value

REMEMBERED = 50_000
"""Programs whose results are kept: dev is scored again and again."""


class Check(NamedTuple):
    """An expression over the program's names, and its value as Python writes it."""

    call: str
    expected: str


Verdict = tuple[bool, ...]
"""Of each test, whether it passed."""
Results = tuple["Value | None", ...]
"""Of each call, what it gave; None where the program did not come to it, or not to its end."""


def tests_of(record: Record, field: str) -> tuple[Check, ...]:
    """`meta.tests` (hidden) or `meta.examples` (given): pairs [call, value], or assertions."""
    found = record.meta.get(field) or ()
    if not isinstance(found, list | tuple):
        raise BadRecord(f"{place(record)}: meta.{field} is no list")
    return tuple(one_test(one, f"{place(record)}: meta.{field}") for one in found)  # pyright: ignore[reportUnknownVariableType]


def one_test(given: Any, where: str) -> Check:
    """[call, value as Python writes it], or `assert call == value`, or `assert condition`."""
    match given:
        case [str(call), str(expected)]:
            test = Check(call, expected)
        case str():
            test = assertion(given, where)
        case _:
            raise BadRecord(f'{where}: {given!r:.80}; ["solve(1)", "2"] or "assert solve(1) == 2" is right')
    for text in test:
        try:
            ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise BadRecord(f"{where}: {text!r:.80} is no expression") from None
    try:
        ast.literal_eval(test.expected)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise BadRecord(f"{where}: {test.expected!r:.80} is no plain value") from None
    return test


def assertion(text: str, where: str) -> Check:
    """The condition's left side and the value on its right; else the condition itself, which must be true."""
    try:
        tree = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadRecord(f"{where}: {text!r:.80} does not parse") from None
    if len(tree) != 1 or not isinstance(tree[0], ast.Assert):
        raise BadRecord(f"{where}: {text!r:.80}; one assertion is right")
    match tree[0].test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]) if literal(right):
            return Check(ast.unparse(left), ast.unparse(right))
        case condition:
            return Check(f"bool({ast.unparse(condition)})", "True")


def literal(node: ast.expr) -> bool:
    """Whether it is plain data."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def place(record: Record) -> str:
    """Where a record comes from, for messages."""
    return str(record.meta.get("place") or record.key)


@lru_cache(maxsize=4)
def the_jail(memory: int, seconds: float) -> Jail:
    """One for all; raises NoJail where code cannot be contained."""
    from core.jail import jail

    return jail(memory_mib=memory, seconds=seconds)


KNOWN: OrderedDict[tuple[str, tuple[str, ...], int, float], Results] = OrderedDict()


def run_tests(cfg: CodeConfig, asked: Sequence[tuple[str, tuple[Check, ...]]]) -> list[Verdict]:
    """A verdict for each program and its tests. Raises NoJail."""
    from core.jail.grader import same

    found = results_of(cfg, [(program, tuple(test.call for test in tests)) for program, tests in asked])
    return [
        tuple(value is not None and same(value, test.expected) for value, test in zip(values, tests, strict=True))
        for values, (_, tests) in zip(found, asked, strict=True)
    ]


def results_of(cfg: CodeConfig, asked: Sequence[tuple[str, tuple[str, ...]]]) -> list[Results]:
    """What each program's calls gave. Raises NoJail. What was run before is not run again."""
    from core.jail import Call, Job

    keys = [(program, calls, cfg.memory, cfg.seconds) for program, calls in asked]
    new = [key for key in dict.fromkeys(keys) if key not in KNOWN and key[1] and key[0].strip()]
    if new:
        jobs = [Job(program, tuple(Call(call) for call in calls)) for program, calls, *_ in new]
        for key, outcome in zip(new, the_jail(cfg.memory, cfg.seconds).run_many(jobs), strict=True):
            values = dict(enumerate(outcome.values)) if outcome.why == "done" else {}
            KNOWN[key] = tuple(values.get(number) for number in range(len(key[1])))
    found = [KNOWN.get(key, (None,) * len(key[1])) for key in keys]
    while len(KNOWN) > REMEMBERED:
        KNOWN.popitem(last=False)
    return found


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Parts of at most `size`."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
