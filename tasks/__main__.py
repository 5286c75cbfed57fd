"""`python -m tasks`: list the tasks, check one, begin one, or run a verb on any of them (also as `transduce ...`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, UserError
from core.registry import BrokenTask
from tasks import TASKS

if TYPE_CHECKING:  # a listing needs none of this, and takes a fraction of the time without
    from core.task import Task

OWN = ("check", "new", "doctor", "sign", "verify")
SHELLS = ("bash", "zsh", "fish")
HELP = """\
One core, many domains: lists tasks, looks after them, and runs a verb on any of them, those of plugins too.

usage: {program}                        list the tasks
       {program} VERB NAME ...          {verbs}; VERB NAME --help says more
       {program} check                  load every task; what is wrong with one is shown
       {program} check [--quick] NAME ...   hold every law against these tasks; --quick leaves out those that train
       {program} new NAME DIR           begin a task of your own: a package that trains, predicts and passes every law
       {program} doctor NAME [CONFIG.toml] [key=value ...] [--json FILE] [--strict]
                                       look at a task's data before you train on it
       {program} sign RUN --key FILE      sign a run before you give it away
       {program} verify RUN --key FILE    whether a run is what one of the keys in FILE has signed

  --names               the names alone
  --completion SHELL    print a completion script: {shells}
  --help                this page

Exit codes: 0 done, 1 a law fails, 2 usage or a broken task, 3 data or leakage between splits.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = run(words)
        sys.stdout.flush()
        return code
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head`: nobody reads any more, which is no mistake
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 3


def run(words: list[str]) -> int:
    """By the first word."""
    match words:
        case []:
            print(listing())
        case ["--names"]:
            print("\n".join(TASKS.names()))
        case ["check", *rest]:
            return check(rest)
        case ["new", *rest]:
            return new(rest)
        case ["doctor", *rest]:
            return doctor(rest)
        case ["sign" | "verify" as what, *rest]:
            return signature(what, rest)
        case _:
            return verb(words)
    return 0


def verb(words: list[str]) -> int:
    """`train` and its like, on any task; and what needs to know them."""
    from core.cli import VERBS, completion_script, dispatch
    from core.nearest import did_you_mean

    known = (*VERBS, *OWN)
    match words:
        case ["-h" | "--help", *_]:
            print(HELP.format(program=program(), verbs=", ".join(VERBS), shells=", ".join(SHELLS)), end="")
            return 0
        case ["--completion", shell] if shell in SHELLS:
            print(completion_script(shell), end="")
            return 0
        case ["--completion", *_]:
            raise ConfigError(f"--completion: needs a SHELL, one of {', '.join(SHELLS)}")
        case [verb, name, *rest] if verb in VERBS and not name.startswith("-"):
            return dispatch(verb, loader(name), name, rest, program=f"{program()} {verb} {name}")
        case [verb, "-h" | "--help", *_] if verb in VERBS:
            return dispatch(verb, loader("NAME"), "NAME", ["--help"], program=f"{program()} {verb} NAME")
        case [verb, *_] if verb in VERBS:
            raise ConfigError(f"{verb}: which task? {program()} {verb} NAME ...; there are {', '.join(TASKS.names())}")
        case [other, *_] if other in TASKS:
            raise ConfigError(f"{other}: a task, and what to do with it? {program()} VERB {other}: {', '.join(known)}")
        case _:
            raise ConfigError(f"{words[0]}: no such verb; one of {', '.join(known)}{did_you_mean(words[0], known)}")


def loader(name: str) -> Callable[[], Task[Any]]:
    """Loads the task when a verb wants it; the traceback of a broken one is its author's to see."""

    def load() -> Task[Any]:
        try:
            return TASKS[name]
        except BrokenTask as error:
            print(error.trace, end="", file=sys.stderr)
            raise

    return load


def refuse(error: UserError) -> int:
    """What a user, or the author of a package, did wrong."""
    if isinstance(error, BrokenTask):
        print(error.trace, end="", file=sys.stderr)
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def listing() -> str:
    """Name, one line, built-in data, first metric; what is wrong with one task does not hide the others."""
    rows = [("task", "what it does", "built-in data", "first metric", "")]
    for name in TASKS.names():
        try:
            card = TASKS.card(name)
        except ConfigError as error:
            rows.append((name, "cannot be used", "", "", str(error)))
        else:
            origin = f"from {card.package} {card.version}" if card.version else ""
            rows.append((name, card.summary, card.data, card.metric, origin))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    cells = [[f"{cell:<{width}}" for cell, width in zip(row[:4], widths, strict=True)] for row in rows]
    return "\n".join("  ".join([*cell, row[4]]).rstrip() for cell, row in zip(cells, rows, strict=True))


def check(words: Sequence[str]) -> int:
    """Every law on each of the named tasks; without names, whether each task loads. 1: a law fails, 2: a task is broken."""
    quick = "--quick" in words
    names = [word for word in words if word != "--quick"]
    if unknown := [word for word in names if word.startswith("-")]:
        raise ConfigError(f"{unknown[0]}: no such flag; there is --quick")
    failed = broken = 0
    for name in names or TASKS.names():
        try:
            task = TASKS[name]
        except ConfigError as error:
            broken = refuse(error)
            continue
        if not names:
            print(f"ok    {name}")
            continue
        from core.testing.check import check as hold_laws

        failed += hold_laws(task, configs(name), quick=quick)
    return broken or (1 if failed else 0)


def configs(name: str) -> list[Path]:
    """A task's config files: beside you, in the repository, or in the task's own package."""
    folder = TASKS.claim(name).folder
    places = [Path("configs", name), Path(__file__).parent.parent / "configs" / name]
    places += [folder / "configs"] if folder else []
    return next((found for place in places if (found := sorted(place.glob("*.toml")))), [])


def new(words: Sequence[str]) -> int:
    """Begin a package."""
    if len(words) != 2 or any(word.startswith("-") for word in words):
        raise ConfigError(f"new: needs a name and a folder: {program()} new NAME DIR")
    from core.scaffold import scaffold

    name, folder = words[0], Path(words[1])
    scaffold(name, folder, taken=TASKS.names())
    print(f"{folder} holds the task {name}. Install it, check it, train it, then change it piece by piece:")
    for line in (f"pip install -e {folder}", f"{program()} check {name}", f"{program()} train {name}"):
        print(f"  {line}")
    return 0


def doctor(words: Sequence[str]) -> int:
    """Look at data."""
    if not words or words[0].startswith("-"):
        raise ConfigError(f"doctor: which task? {program()} doctor NAME [CONFIG.toml] [key=value ...]")
    from core.doctor import doctor as examine

    return examine(TASKS[words[0]], words[1:])


def signature(what: str, words: Sequence[str]) -> int:
    """Make one, or look at one."""
    from core.flags import Flag, taken_apart
    from core.signature import sign, verify

    meaning = (
        "an Ed25519 key of ssh-keygen" if what == "sign" else "public keys, one a line, as in FILE.pub of ssh-keygen"
    )
    known = taken_apart(words, [Flag("--key", meaning, "FILE")], lambda word: False)
    key = known.path("--key")
    if known.on("--help"):
        print(f"usage: {program()} {what} RUN --key FILE\n\n  --key FILE    {meaning}\n\ndocs/signatures.md says more.")
        return 0
    if key is None or len(known.plain) != 1:
        raise ConfigError(f"{what}: needs a run and a key: {program()} {what} RUN --key FILE")
    run = Path(known.plain[0])
    if not run.is_dir():
        raise ConfigError(f"{run}: no such run folder")
    found = sign(run, key) if what == "sign" else verify(run, key)
    print(f"{run}: {len(found.files)} files signed by {found.by}")
    return 0


def program() -> str:
    """How this was called."""
    return "transduce" if Path(sys.argv[0]).stem == "transduce" else "python -m tasks"


if __name__ == "__main__":
    raise SystemExit(main())
