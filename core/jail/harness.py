"""Runs a program and answers its calls. Shares the interpreter with the program: what it writes is the program's word, no verdict.

The only module that runs what it is given; imported by the zygote alone, called in a process that is already in jail.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import sys
import threading
import traceback
from collections.abc import Sequence
from types import ModuleType

from core.jail.plain import tree

PROGRAM = "<program>"
LONGEST_ERROR = 1000


def perform(program: str, calls: Sequence[str], result: int) -> None:
    """Never returns. One line of JSON a call on the descriptor, then how it ended."""
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = [PROGRAM]
    random.seed(0)
    namespace = vars(main)
    try:
        ended = run(program, namespace)
        for expression in calls if ended is None else ():
            tell(result, value=valued(expression, namespace))
        finish()
        tell(result, **(ended or {"end": True}))
    except MemoryError:
        namespace.clear()
        tell(result, memory="MemoryError")
    except BaseException as error:
        tell(result, error=described(error))
    finally:
        os._exit(0)


def run(program: str, namespace: dict[str, object]) -> dict[str, object] | None:
    """None, or how the program failed."""
    try:
        exec(compile(program, PROGRAM, "exec", dont_inherit=True), namespace)
    except MemoryError:
        raise
    except SystemExit as end:
        if end.code not in (None, 0):
            return {"error": described(end)}
    except BaseException as error:
        return {"error": described(error)}
    return None


def valued(expression: str, namespace: dict[str, object]) -> list[object]:
    """Whether it has a plain value, and that or the exception."""
    try:
        return [True, tree(eval(compile(expression, "<call>", "eval", dont_inherit=True), namespace))]
    except MemoryError:
        raise
    except BaseException as error:
        return [False, described(error)]


def finish() -> None:
    """What an interpreter does at its end."""
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def described(error: BaseException) -> str:
    """Its kind, message and line in the program."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == PROGRAM]
    if isinstance(error, SyntaxError) and error.filename == PROGRAM:
        lines = [error.lineno]
    try:
        message = f"{error.msg}" if isinstance(error, SyntaxError) else f"{error}"
    except BaseException:
        message = "(a message that cannot be shown)"
    place = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}{': ' if message else ''}{message[:LONGEST_ERROR]}{place}"


def tell(result: int, **line: object) -> None:
    """All of one line."""
    rest = memoryview(json.dumps(line).encode("ascii") + b"\n")
    while rest:
        rest = rest[os.write(result, rest) :]
