"""docs/reliability.md, from the results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.torture.rows import Row

HEAD = """# What survives, and how that is known

Each row is a threat, a promise, and so many trials of it, counted. `make torture` runs all of them (an hour on two cores; it goes on where
it was killed) and writes `benchmarks/results/torture/ROW.json`. This page is written from these files by
`python -m benchmarks.torture --page`. In every check a few trials of each row run (`tests/torture/test_quick.py`), and whatever once
crashed a reader is brought to it again (`tests/torture/finds`). In place of the jail's rows `tests/core/test_jail*.py` do: some programs of
each hostile class, on two tiers and as two users, and harmless ones.

```console
$ python -m benchmarks.torture --list
```

What this means in use:

* A run that was killed, or whose machine was, goes on with `--resume` and ends with the bytes that it would have had. Ctrl-C, SIGTERM and
  SIGUSR1 save and stop; a second one stops at once.
* Where the disk is full, training warns (path, bytes needed, bytes free), keeps what is due, and tries again a tenth of `save.every`
  later. If there is still no room at the end, it ends with exit code 3, and the checkpoint before is whole.
* `--resume` refuses what would make it another run: a key of the config (typed or edited), data, vocabulary, threads, the processor's
  instruction set, device, precision, torch. It names field, old and new value; `--force FIELD,FIELD` goes on all the same, and `run.json`
  and the checkpoints tell of it.
* `train.nonfinite` says what a loss or gradient that is no number does: `raise` (exit code 4), `skip` the update, or `rollback`, which
  takes up the weights of the last multiple of `save.every`. Step, records (file:line) and the first bad module are named, and steps that
  were left out are part of the state.

Records of the rows F1, F2, F3 and F5 and settings of F6 are drawn half by our own generators and half by Hypothesis, which shortens what
breaks a promise; `python -m benchmarks.torture.guided READER` goes on where a reader's coverage leads (atheris).

`--rows R1,S3` takes some rows, `--minutes N` shares so much time among them, `--seed S` draws other trials, `--only N` plays one trial
again and shows all that it says.
"""


def page(rows: Sequence[Row], results: Path) -> str:
    """One section a row."""
    parts = [HEAD]
    found = [(row, read(results / f"{row.name}.json")) for row in rows]
    parts.append("| row | threat | counted | promise kept |\n| --- | --- | --- | --- |")
    parts += [
        f"| [{row.name}](#{anchor(row)}) | {row.threat} | {counted(tree)} | {kept(tree)} |" for row, tree in found
    ]
    for row, tree in found:
        parts.append(f"\n## {title(row)}\n\n{row.promise}\n")
        if tree is not None:
            parts.append(told(tree))
    return "\n".join(parts).rstrip("\n") + "\n"


def title(row: Row) -> str:
    """Of its section."""
    return f"{row.name}: {row.threat}"


def anchor(row: Row) -> str:
    """As GitHub makes it of a title."""
    return "".join(one for one in title(row).lower().replace(" ", "-") if one.isalnum() or one in "-_")


def read(path: Path) -> dict[str, Any] | None:
    """A result, if it is there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def counted(tree: dict[str, Any] | None) -> str:
    """Towards the goal."""
    return "" if tree is None else f"{tree['count']:,} {tree['unit']}"


def kept(tree: dict[str, Any] | None) -> str:
    """In one cell."""
    if tree is None:
        return "not recorded"
    if tree["breached"]:
        return f"**no: {tree['breached']} breaches**"
    if tree["trials"] < tree["planned"]:
        return f"{tree['trials']:,} of {tree['planned']:,} trials"
    return "yes" if tree["held"] else f"{tree['count']:,} of {tree['goal']:,}"


def told(tree: dict[str, Any]) -> str:
    """What was counted and measured, where."""
    said = [f"* {n:,} {name}" for name, n in tree["counts"].items()]
    said += [
        f"* {name}: {figure(one['median'])} (median; {figure(one['least'])} to {figure(one['most'])})"
        for name, one in tree["figures"].items()
    ]
    said += [f"* **breach** in trial {one['trial']}: {one['what']}" for one in tree["breaches"]]
    environment = tree["environment"]
    said.append(
        f"* {tree['trials']:,} trials, seed {tree['seed']}, {tree['seconds']:,.0f} s of processes, {tree['jobs']} at a time;"
        f" revision {environment['git']}, torch {environment['versions']['torch']}, {environment['hardware']}"
    )
    return "\n".join(said) + "\n"


def figure(value: float) -> str:
    """To three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
