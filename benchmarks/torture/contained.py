"""S9 to S17: hostile programs on every tier of the jail as every user, harmless ones that it leaves alone, and how many a second.

The programs are those of tests/core/jail, and so is what looks at the machine outside while they run.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.torture.rows import Row, Trial, hold
from core.jail import Call, Job, NoJail, jail
from core.jail.worker import TIERS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path("tests/core/jail/trial.py")
NOBODY = 65534
PROGRAMS = 400


def hostile(trial: Trial) -> None:
    """All attacks on one tier; as this user, or, where this is root, as nobody."""
    tier, other = TIERS[trial.number % len(TIERS)], trial.number >= len(TIERS)
    interpreter, root = Path(sys.executable), ROOT
    identity: dict[str, Any] = {}
    if other:
        if os.geteuid() != 0:
            trial.count("not tried: only root can become another user")
            return
        for folder in (trial.place, trial.place.parent, trial.place.parent.parent):
            folder.chmod(0o755)
        readable = importlib.import_module("tests.core.test_jail_hostile").readable_in
        interpreter, root = readable(trial.place)
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    found = json.loads(run([str(interpreter), str(root / SCRIPT), str(root), tier, "full"], identity))
    if "refused" in found:
        trial.count(f"{tier} is not to be had here")
        return
    hold(not found["breaches"], f"{tier}, user {found['user']}: {found['breaches']}")
    trial.count("hostile programs contained", found["attacks"])
    trial.count(f"on {tier} as {'root' if found['user'] == 0 else 'an ordinary user'}", found["attacks"])


def run(command: list[str], identity: dict[str, Any]) -> str:
    """What it printed; a breach where it failed."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **identity)
    hold(ended.returncode == 0, f"exit code {ended.returncode}: {ended.stderr[-500:]}")
    return ended.stdout


def harmless(trial: Trial) -> None:
    """What calls give inside is what they give outside, for programs without malice."""
    cases = importlib.import_module("tests.core.test_jail_harmless")
    every = cases.PROGRAMS + cases.sums() + cases.imports() + cases.written()
    tier = TIERS[trial.number % len(TIERS)]
    try:
        cell = jail(seconds=30, workers=2, tiers=[tier])
    except NoJail:
        trial.count(f"{tier} is not to be had here")
        return
    with cell:
        disturbed = cases.disturbed(cell, every)
    hold(not disturbed, f"{tier}: {disturbed[:3]}")
    trial.count("harmless programs", len(every))
    trial.count(f"on {tier}", len(every))


def rate(trial: Trial) -> None:
    """Small programs, one after the other; the machine should have nothing else to do."""
    tier = TIERS[trial.number % len(TIERS)]
    try:
        cell = jail(workers=2, tiers=[tier])
    except NoJail:
        trial.count(f"{tier} is not to be had here")
        return
    jobs = [Job("def f(x):\n    return x + 1", (Call("f(2)"),))] * PROGRAMS
    with cell:
        cell.run_many(jobs[:8])
        begun = time.monotonic()
        whys = {outcome.why for outcome in cell.run_many(jobs)}
        spent = time.monotonic() - begun
    hold(whys == {"done"}, f"{tier}: {sorted(whys)}")
    trial.count("programs", PROGRAMS)
    trial.measure(f"programs a second on {tier}", PROGRAMS / spent)
    trial.measure("load while it was measured", os.getloadavg()[0])


ROWS = (
    Row(
        "S9",
        threat="hostile programs of 22 classes, on every tier of the jail, as root and as an ordinary user",
        promise="Contained, as seen from outside: no file changed, no connection, no signal, no process left, no secret, no forged pass, "
        "memory, time and output within their limits.",
        trial=hostile,
        unit="hostile programs contained",
        goal=2400,
        full=2 * len(TIERS),
        quick=0,
        seconds=60.0,
        limit=1800.0,
        alone=True,
    ),
    Row(
        "S16",
        threat="a jail that disturbs programs without malice",
        promise="What 1,000 of them answer inside is what they answer outside, on every tier.",
        trial=harmless,
        unit="harmless programs",
        goal=3000,
        full=len(TIERS),
        quick=0,
        seconds=60.0,
        limit=1800.0,
        alone=True,
    ),
    Row(
        "S17",
        threat="a jail that is too slow to be used",
        promise="Forty programs a second on two idle cores; the rate is printed, and says nothing where the load is above two.",
        trial=rate,
        unit="programs",
        goal=PROGRAMS,
        full=len(TIERS),
        quick=0,
        seconds=20.0,
        limit=600.0,
        alone=True,
    ),
)
