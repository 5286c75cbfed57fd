"""The completion scripts in the shells that they are for."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cli import completion_script

STUB = '#!/bin/sh\ncase "$*" in --names) echo digits;; *--keys) echo train.steps; echo train.lr;; esac\n'
TYPED = {
    "tr": "train",
    "train di": "digits",
    "train digits --dr": "--dry-run",
    "evaluate digits --split t": "test",
    "train digits train.st": "train.steps=",
    "train digits mine.to": "mine.toml",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a config, and a `transduce` that knows one task and two keys."""
    program = tmp_path / "bin" / "transduce"
    program.parent.mkdir()
    program.write_text(STUB)
    program.chmod(0o755)
    (tmp_path / "mine.toml").write_text("")
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(place),
        "TERM": "dumb",
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes(place: Path) -> None:
    (place / "script").write_text(completion_script("fish"))
    asked = "; ".join(f"echo (complete -C 'transduce {words}')" for words in TYPED)
    command = ["fish", "--no-config", "-c", f"source script; {asked}"]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == list(TYPED.values())


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_completes(place: Path) -> None:
    (place / "script").write_text(completion_script("zsh"))
    with zsh(place) as terminal:
        os.write(terminal, b"autoload -Uz compinit && compinit -u -D; source script; echo re''ady\n")
        until(terminal, "ready\r\n")
        for typed, completed in TYPED.items():
            os.write(terminal, f"transduce {typed}\t".encode())
            until(terminal, f"transduce {typed}"[: -len(typed.split()[-1])] + completed)
            os.write(terminal, b"\x15")  # the line is not run


@contextmanager
def zsh(place: Path) -> Generator[int, None, None]:
    """At a terminal, since it completes nowhere else."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"], cwd=place, env=environment(place), stdin=slave, stdout=slave, stderr=slave, process_group=0
    ) as shell:
        os.close(slave)
        try:
            yield master
        finally:
            shell.send_signal(signal.SIGKILL)
            os.close(master)


def until(terminal: int, wanted: str) -> None:
    """Read until it says so; what never comes is the test's time limit."""
    said = ""
    while wanted not in said:
        said += os.read(terminal, 65536).decode(errors="replace")
