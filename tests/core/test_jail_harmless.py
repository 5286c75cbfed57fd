"""Programs without malice are not disturbed: what their calls give outside is what they give inside, on every tier."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data.config import DataConfig
from core.jail import Call, Jail, Job, NoJail, Value, jail, worker
from tasks.code_synthesis import TASK

ROOT = Path(__file__).parents[2]
WRITTEN = 700
Case = tuple[str, tuple[str, ...]]
"""A program and its calls."""

SPOKEN = [
    ("print('hello')", "", "hello\n"),
    ("name = input()\nprint(f'hello {name}')", "Zoë\n", "hello Zoë\n"),
    ("import sys\nprint(sum(int(line) for line in sys.stdin))", "1\n2\n3\n", "6\n"),
    ("import sys\nprint(len(sys.stdin.read()))", "é" * 100000, "100000\n"),
    ("print(*range(10000))", "", " ".join(map(str, range(10000))) + "\n"),
    ("if __name__ == '__main__':\n    print('main')", "", "main\n"),
    ("import sys\nprint('out')\nprint('err', file=sys.stderr)", "", "out\n"),
    ("import sys\nprint('before')\nsys.exit()", "", "before\n"),
    ("import atexit\natexit.register(print, 'last')\nprint('first')", "", "first\nlast\n"),
    ("import threading\nthreading.Timer(0.01, print, ['later']).start()\nprint('now')", "", "now\nlater\n"),
    ("try:\n    input()\nexcept EOFError:\n    print('nothing')", "", "nothing\n"),
    ("import os\nos.write(1, b'raw\\n')", "", "raw\n"),
    ("print(open(0).read())", "x", "x\n"),
    ("print('a', end='', flush=True)\nprint('b')", "", "ab\n"),
    ("import logging\nlogging.warning('w')\nprint('ok')", "", "ok\n"),
    ("from __future__ import annotations\nprint(1)", "", "1\n"),
    ("#!/usr/bin/python\n# -*- coding: utf-8 -*-\nprint('ü')", "", "ü\n"),
    ("print(1)\nexit()\nprint(2)", "", "1\n"),
    ("", "", ""),
]
"""Program, what it hears, what it says."""


def programs() -> list[Case]:
    """Each program with its calls."""
    found: list[Case] = []
    lines: list[str] = []
    for line in (Path(__file__).parent / "jail" / "harmless.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            found.append(("\n".join(lines), tuple(call.strip() for call in line[4:].split(" | "))))
            lines = []
        else:
            lines.append(line)
    return found


PROGRAMS = programs()


@pytest.fixture(scope="module")
def cell() -> Iterator[Jail]:
    try:
        made = jail(seconds=20, workers=2)
    except NoJail as refusal:
        pytest.skip(str(refusal))
    with made:
        yield made


def outside(cases: list[Case]) -> list[list[Value | None]]:
    """What plain interpreters give, each program in a fork of one; None for what has no canonical text."""
    ended = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", OUTSIDE, str(ROOT)],
        input=json.dumps(cases), capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"},
    )  # fmt: skip
    told: dict[int, list[Value | None]] = {}
    for line in ended.stdout.splitlines():
        index, said = json.loads(line)
        told[index] = [None if one is None else Value(*one) for one in said]
    return [told[index] for index in range(len(cases))]


OUTSIDE = """
import json, os, random, sys, types
sys.path.insert(0, sys.argv[1])
from core.jail.plain import NotPlain, canonical
cases = json.load(sys.stdin)
told = os.dup(1)
for index, (program, calls) in enumerate(cases):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    random.seed(0)
    exec(program, vars(main))
    out = []
    for call in calls:
        try:
            out.append([True, canonical(eval(call, vars(main)))])
        except NotPlain:
            out.append(None)
        except BaseException as error:
            out.append([False, type(error).__name__])
    os.write(told, (json.dumps([index, out]) + "\\n").encode())
    os._exit(0)
"""


def agrees(inside: Value, plain_value: Value | None) -> bool:
    """The same value, or the same exception, or no plain value on either side."""
    if plain_value is None:
        return not inside.ok and inside.text.startswith("NotPlain")
    if not inside.ok:
        return not plain_value.ok and inside.text.split(":")[0].split(" (line")[0] == plain_value.text
    return inside == plain_value


def disturbed(cell: Jail, cases: list[Case]) -> list[str]:
    """Where inside is not as outside."""
    outcomes = cell.run_many([Job(program, tuple(map(Call, calls))) for program, calls in cases])
    faults = [
        f"{outcome.why} {outcome.error}: {program[:200]}"
        for (program, _), outcome in zip(cases, outcomes, strict=True)
        if outcome.why != "done"
    ]
    for (_, calls), outcome, wanted in zip(cases, outcomes, outside(cases), strict=True):
        faults += [
            f"{call}: {inside} inside, {value} outside"
            for call, inside, value in zip(calls, outcome.values, wanted, strict=False)
            if not agrees(inside, value)
        ]
    return faults


def sums() -> list[Case]:
    """Small functions of all the arithmetic there is, exceptions included."""
    parts = itertools.product(
        ("n", "-n", "n * n", "sum(range(n))", "float(n)"),
        ("+", "-", "*", "/", "//", "%", "**", "==", "<"),
        ("3", "2.5", "(n + 1)"),
    )
    calls = tuple(f"f({n})" for n in (0, 1, 7, 40))
    return [(f"def f(n):\n    return {left} {sign} {right}", calls) for left, sign, right in parts]


UNWANTED = """
antigravity this idlelib turtle turtledemo tkinter curses readline nis ossaudiodev spwd msilib winreg winsound nt msvcrt lib2to3 ensurepip
venv rlcompleter
"""
"""What needs a screen, a terminal, a sound card or another system, or is no library."""


def imports() -> list[Case]:
    """Each module of the standard library that there is here."""
    names = sorted(
        name for name in sys.stdlib_module_names if not name.startswith("_") and name not in UNWANTED.split()
    )
    there = [name for name in names if importlib.util.find_spec(name) is not None]
    return [(f"import {name}", (f"{name}.__name__",)) for name in there]


def written() -> list[Case]:
    """What the task of writing code teaches: its programs, with the calls that test them."""
    made = TASK.sources["synthetic"](TASK.config(programs=WRITTEN), DataConfig(), "train")
    return [(one.target, tuple(call for call, _ in one.meta["tests"])) for one in made]


def test_some_are_not_disturbed(cell: Jail) -> None:
    assert disturbed(cell, PROGRAMS[:4] + PROGRAMS[-8:-4]) == []


@pytest.mark.parametrize(("program", "heard", "said"), SPOKEN)
def test_what_a_program_says_is_heard(cell: Jail, program: str, heard: str, said: str) -> None:
    (outcome,) = cell.run_many([Job(program, (), heard)])
    assert (outcome.why, outcome.stdout) == ("done", said), outcome


@pytest.mark.slow
@pytest.mark.parametrize("tier", worker.TIERS)
def test_none_is_disturbed(tier: worker.Tier) -> None:
    cases = PROGRAMS + sums() + imports() + written()
    try:
        cell = jail(seconds=30, workers=2, tiers=[tier])
    except NoJail as refusal:
        pytest.skip(str(refusal))
    with cell:
        assert disturbed(cell, cases) == []
    assert len(cases) >= 1000
    print(f"{tier}: {len(cases)} harmless programs")
