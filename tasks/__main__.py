"""`python -m tasks`: list the tasks, check one, begin one, or run a verb on any of them (also as `transduce ...`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.cli import VERBS, completion_script, dispatch, said
from core.errors import UserError
from core.nearest import did_you_mean
from tasks import TASKS

OWN = ("check", "new", "doctor")
HELP = """\
usage: python -m tasks                      list the tasks
       python -m tasks VERB NAME ...        {verbs}  (VERB NAME --help says more)
       python -m tasks check NAME ...       run every law on a task, yours too
       python -m tasks new NAME DIR         begin a task of your own, as a package
       python -m tasks doctor NAME [CONFIG] look at a task's data before you train on it
       python -m tasks --completion SHELL   bash, zsh or fish
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return run(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0


def run(words: list[str]) -> int:
    """By the first word."""
    match words:
        case []:
            print(listing())
            return 0
        case ["-h" | "--help", *_]:
            print(HELP.format(verbs=", ".join(VERBS)), end="")
            return 0
        case ["--names"]:
            print("\n".join(TASKS.names()))
            return 0
        case ["--completion", shell]:
            print(completion_script(shell), end="")
            return 0
        case ["check", *names] if names:
            return check(names)
        case ["new", name, folder]:
            from core.scaffold import scaffold

            made = scaffold(name, Path(folder), taken=TASKS.names())
            print(f"wrote {made}: pip install -e {made}, then python -m tasks train {name}")
            return 0
        case ["doctor", name, *rest]:
            from core.doctor import doctor

            return doctor(TASKS[name], rest)
        case [verb, name, *rest] if verb in VERBS:
            return dispatch(verb, lambda: TASKS[name], name, rest)
        case [verb] if verb in VERBS or verb in OWN:
            return said(f"{verb}: which task? There are {', '.join(TASKS.names())}", 2)
        case [other, *_]:
            known = [*VERBS, *OWN]
            return said(f"{other}: no such verb; one of {', '.join(known)}{did_you_mean(other, known)}", 2)
        case _:
            return said("what to do? See python -m tasks --help", 2)


def listing() -> str:
    """Name, one line, built-in data, first metric; a broken card does not hide the others."""
    rows: list[tuple[str, str, str, str]] = [("task", "what it does", "built-in data", "first metric")]
    for name in TASKS.names():
        try:
            card = TASKS.card(name)
            rows.append((name, card.summary, card.data, card.metric))
        except UserError as error:
            rows.append((name, str(error), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def check(names: Sequence[str]) -> int:
    """Every law on each; 1 if any fails."""
    failed = 0
    for name in names:
        task = TASKS[name]
        from core.testing.check import check as check_task

        print(f"{name}:")
        failed += check_task(task, configs(name))
    return 1 if failed else 0


def configs(name: str) -> list[Path]:
    """A task's config files: of the repository, or of its own package."""
    folder = TASKS.claim(name).folder
    places = [Path("configs", name), Path(__file__).parent.parent / "configs" / name]
    places += [folder / "configs"] if folder else []
    return next((sorted(place.glob("*.toml")) for place in places if place.is_dir()), [])


if __name__ == "__main__":
    raise SystemExit(main())
