"""What goes into the jail and what comes out. Plain data: nothing here runs anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import UserError

Why = Literal["done", "error", "timeout", "memory", "output", "killed"]


class NoJail(UserError):
    """Generated code cannot be contained here, so it is not run; the message has the reason of every tier."""


@dataclass(frozen=True, slots=True)
class Call:
    """An expression, evaluated after the program in the program's own namespace: `add(1, 2)`."""

    expression: str


@dataclass(frozen=True, slots=True)
class Job:
    """One program, run in an interpreter of its own. Nothing that a verdict depends on belongs in here."""

    program: str
    calls: tuple[Call, ...] = ()
    stdin: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """What a call gave: the canonical text of plain data, or the exception (`ok` is false)."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program did. A claim of the program's, never a verdict: that is made outside, by `passed`."""

    why: Why
    """`done`: ran to its end, or says so; `error`: an exception, or it left early; `killed`: by a signal, not by a limit."""
    values: tuple[Value, ...]
    """One a call, in their order; fewer if the program came to no end."""
    stdout: str
    error: str
    seconds: float
