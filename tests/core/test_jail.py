"""The jail: what a program sees and says, what the grader makes of it, and refusing where nothing contains a program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.jail import Call, Jail, Job, NoJail, Outcome, Value, jail, worker
from core.jail.choose import started

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cell() -> Iterator[Jail]:
    try:
        made = jail(seconds=20, workers=2)
    except NoJail as refusal:
        pytest.skip(str(refusal))
    with made:
        yield made


def one(cell: Jail, program: str, *calls: str, stdin: str = "") -> Outcome:
    """The outcome of one program."""
    return cell.run_many([Job(program, tuple(map(Call, calls)), stdin)])[0]


def test_a_program_is_run_and_its_calls_answered(cell: Jail) -> None:
    outcome = one(cell, "def f(x):\n    return x + 1\nprint('hé')", "f(2)", "[1, (2.5,), {'a': {3}}]", "1 / 0")
    assert outcome.why == "done"
    assert outcome.values == (
        Value(True, "3"),
        Value(True, "[1, (2.5,), {'a': {3}}]"),
        Value(False, "ZeroDivisionError: division by zero"),
    )
    assert outcome.stdout == "hé\n"
    assert cell.tier in worker.TIERS


@pytest.mark.parametrize(
    ("program", "why", "error"),
    [
        ("x = (", "error", "SyntaxError: '(' was never closed (line 1)"),
        ("\n\nraise ValueError('no')", "error", "ValueError: no (line 3)"),
        ("import os\nos._exit(0)", "error", "left with code 0 before its end"),
        ("raise SystemExit(3)", "error", "SystemExit: 3 (line 1)"),
        ("x = 'x' * 10**10", "memory", "MemoryError"),
        ("import ctypes\nctypes.string_at(0)", "killed", "SIGSEGV"),
        ("while True:\n    print('x' * 1000)", "output", "wrote more than it may"),
        ("\x00", "error", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_an_end_has_its_reason(cell: Jail, program: str, why: str, error: str) -> None:
    outcome = one(cell, program, "1")
    assert outcome.why == why
    assert outcome.error.startswith(error) or "null bytes" in outcome.error
    assert outcome.values == ()


def test_time_is_limited_and_what_was_answered_is_kept() -> None:
    with one_cell(seconds=0.5) as cell:
        outcome = one(cell, "import time", "1", "time.sleep(9)", "2")
    assert (outcome.why, outcome.values) == ("timeout", (Value(True, "1"),))
    assert 0.5 <= outcome.seconds < 0.75


def one_cell(**limits: Any) -> Jail:
    """A jail of other limits, where there is any."""
    try:
        return jail(**limits)
    except NoJail as refusal:
        pytest.skip(str(refusal))


def test_order_is_kept_and_progress_told(cell: Jail) -> None:
    told: list[tuple[int, int]] = []
    jobs = [Job(f"import time\ntime.sleep({0.05 * (n % 3)})", (Call(str(n)),)) for n in range(9)]
    outcomes = cell.run_many(jobs, lambda done, total: told.append((done, total)))
    assert [outcome.values[0].text for outcome in outcomes] == [str(n) for n in range(9)]
    assert told == [(n + 1, 9) for n in range(9)]
    assert cell.run_many([]) == []


def test_programs_leave_nothing_to_each_other(cell: Jail) -> None:
    leave = "import builtins, sys, os, math\nbuiltins.left = math.left = 1\nopen('left', 'w').close()\nos.environ['LEFT'] = '1'"
    look = ("hasattr(__builtins__, 'left')", "os.path.exists('left')", "'LEFT' in os.environ", "hasattr(math, 'left')")
    outcomes = cell.run_many([Job(leave), Job("import os, math", tuple(map(Call, look)))] * 4)
    assert [outcome.why for outcome in outcomes] == ["done"] * 8
    assert all(value.text == "False" for outcome in outcomes[1::2] for value in outcome.values)


def test_runs_repeat_themselves(cell: Jail) -> None:
    program = "import random"
    calls = ("random.random()", "list({'a', 'b', 'c', 'd'})", "hash('x')")
    first, second = one(cell, program, *calls), one(cell, program, *calls)
    assert first.values == second.values


def test_the_program_is_alone(cell: Jail) -> None:
    looks = ("'core' in sys.modules", "'TRANSDUCE' in os.environ", "sorted(os.environ)", "sys.argv", "os.listdir('.')")
    outcome = one(cell, "import os, sys\ntry:\n    import core\nexcept ImportError:\n    print('none')", *looks)
    assert outcome.stdout == "none\n"
    assert [value.text for value in outcome.values[:2]] == ["False", "False"]
    assert outcome.values[2].text == "['HOME', 'LANG', 'TMPDIR', 'TZ']"
    assert outcome.values[4].text == "[]"


@pytest.mark.slow
def test_forty_programs_a_second() -> None:
    with one_cell(workers=2) as cell:
        jobs = [Job("def f(x):\n    return x + 1", (Call("f(2)"),))] * 400
        cell.run_many(jobs[:8])
        begun = time.monotonic()
        assert {outcome.why for outcome in cell.run_many(jobs)} == {"done"}
        rate = len(jobs) / (time.monotonic() - begun)
    load = os.getloadavg()[0]
    print(f"{cell.tier}: {rate:.0f} programs/s, load {load:.1f}")
    assert rate >= 40 or load > (os.cpu_count() or 1) + 1, f"{rate:.0f} programs/s"


def test_starting_the_jail_is_light() -> None:
    code = "import sys, core.jail; assert not set(sys.modules) & {'torch', 'numpy', 'pydantic', 'resource'}, sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_refuse(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(NoJail, match=rf"Linux only, and this is {system}: .*container"):
        jail()


def test_no_tier_is_a_refusal_with_all_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoJail, match="bubblewrap: bwrap is not installed"):
        jail(tiers=["bubblewrap"])
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(NoJail) as refusal:
        jail()
    for tier in worker.TIERS:
        assert f"{tier}: " in str(refusal.value)
    assert "container" in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_where_a_tier_is_forbidden_the_next_is_taken() -> None:
    """Inside a process that may make no user namespace (as in many containers), and in one that may not even have Landlock."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from core.jail import NoJail, bpf, identity, jail, kernel, seccomp
kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
refused = [kernel.number(name) for name in sys.argv[1].split()]
head = [bpf.load(bpf.NUMBER_AT)]
lines = [bpf.Line(number, seccomp.refuse(1)) for number in refused]
seccomp.install([*head, *bpf.assemble(lines, [bpf.give(bpf.ALLOW)])])
try:
    with jail(tiers=["namespaces", "landlock"]) as cell:
        print(cell.tier)
except NoJail as refusal:
    print(refusal)
"""
    code = code.replace(
        "from core.jail import NoJail, bpf, identity, jail, kernel, seccomp",
        "from core.jail import NoJail, jail\nfrom core.jail import bpf, kernel, seccomp",
    )
    said = [
        subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True, check=True).stdout.strip()
        for words in ("unshare", "unshare landlock_create_ruleset")
    ]
    assert said[0] == "landlock"
    assert "namespaces: unshare: Operation not permitted" in said[1]
    assert "landlock: landlock_create_ruleset: Operation not permitted" in said[1]


def test_a_zygote_that_dies_is_replaced(cell: Jail) -> None:
    one(cell, "pass")
    cell.idle.append(started(cell.tier, cell.limits))  # two dead ones in a row are no fault of a program
    for idle in cell.idle:
        idle.process.kill()
        idle.process.wait()
    assert [outcome.why for outcome in cell.run_many([Job("1")] * 4)] == ["done"] * 4


def test_the_end_of_a_jail_ends_its_processes() -> None:
    with one_cell() as cell:
        process, folder = cell.idle[0].process, cell.idle[0].end.peek()
        assert process.poll() is None
    assert process.poll() is not None
    assert folder is not None
    assert not os.path.exists(folder[2][1])


@pytest.mark.parametrize("tier", worker.TIERS)
def test_a_killed_grader_takes_its_jail_along(tier: str) -> None:
    code = (
        "import sys, threading\nfrom core.jail import Job, NoJail, jail\n"
        "try:\n    cell = jail(seconds=100, tiers=[sys.argv[1]])\nexcept NoJail as refusal:\n    sys.exit(print(refusal))\n"
        "print('up', flush=True)\ncell.run_many([Job('while True: pass')])"
    )
    with subprocess.Popen([sys.executable, "-c", code, tier], cwd=ROOT, stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        if (said := grader.stdout.readline()) != "up\n":
            pytest.skip(said)
        end = time.monotonic() + 30
        while len(below(grader.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        running = below(grader.pid)
        grader.kill()
    assert len(running) >= 2
    while any(map(alive, running)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, running))


def below(process: int) -> set[int]:
    """All processes below one."""
    try:
        lists = [path.read_text(encoding="ascii") for path in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:
        return set()
    children = {int(word) for text in lists for word in text.split()}
    return children.union(*map(below, children))


def alive(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("limits", [{"memory_mib": 1}, {"seconds": 0}, {"output_kib": 0}, {"workers": 0}])
def test_limits_that_cannot_be(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such limits"):
        jail(**limits)
