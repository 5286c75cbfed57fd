"""What this process does behind a reader's back, told by the interpreter itself (sys.addaudithook)."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import CodeType
from typing import Any

RUNS = (
    "pickle.find_class",
    "marshal.load",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "urllib.Request",
    "ctypes.dlopen",
    "code.__new__",
    "cpython.run_command",
    "cpython.run_file",
    "webbrowser.open",
)
"""Events that no reading of a file needs."""


class Ear:
    """One hook a process, since none can be taken away: it hears while it is told to."""

    def __init__(self) -> None:
        self.on = False
        self.heard: list[str] = []
        self.opened: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, words: tuple[Any, ...]) -> None:
        """An event of the interpreter."""
        if not self.on:
            return
        if event == "open":
            self.opened.append(str(words[0]))
        elif event in RUNS:
            self.heard.append(f"{event} {words!r:.80}")
        elif event == "exec" and not installed(words[0]):
            self.heard.append(f"exec of {words[0].co_filename}")


def installed(code: CodeType) -> bool:
    """Code of a module, or what the standard library spells for a class of it (dataclasses, named tuples)."""
    return code.co_filename.endswith((".py", "<string>")) and code.co_name in ("<module>", "__create_fn__")


EAR = Ear()


@contextmanager
def heard() -> Generator[Ear, None, None]:
    """What happens within."""
    EAR.heard, EAR.opened, EAR.on = [], [], True
    try:
        yield EAR
    finally:
        EAR.on = False
