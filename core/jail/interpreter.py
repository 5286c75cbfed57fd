"""What of the machine a Python program needs: the standard library's text. Its machine code is loaded before the jail closes."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import site
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages")
"""Packages of others, hidden: among them may be the answers (a benchmark's own wheel)."""
DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "random", "urandom"))
ZONES = Path("/usr/share/zoneinfo")
UNWANTED = ("_test", "_xx", "xx", "_ctypes_test", "_tkinter", "_curses", "readline", "nis", "ossaudiodev", "spwd")
"""Extension modules that need a screen, a terminal, a network or a sound card, or only test the interpreter."""
USUAL = """
abc argparse array asyncio base64 bisect calendar cmath collections collections.abc contextlib copy csv dataclasses datetime decimal
difflib enum fractions functools graphlib hashlib heapq inspect io itertools json keyword logging math numbers operator pathlib pprint
queue random re secrets shutil statistics string struct tempfile textwrap threading time traceback types typing unicodedata unittest uuid
zlib zoneinfo
"""
"""Modules that programs often import: at hand at once, and forked rather than read."""


def libraries() -> list[Path]:
    """The folders of the standard library (two where machine code has its own)."""
    found = [Path(os.__file__).parent, *(Path(entry).parent for entry in sys.path if entry.endswith("lib-dynload"))]
    return list(dict.fromkeys(path.resolve() for path in found))


def texts() -> Iterator[Path]:
    """What a program may read of them."""
    for folder in libraries():
        yield from (entry for entry in sorted(folder.iterdir()) if entry.name not in INSTALLED)


def load() -> None:
    """Every extension module of the standard library, so that no shared object is opened later, and the usual modules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder in libraries():
            for path in sorted((folder / "lib-dynload").glob("*.so")):
                name = path.name.split(".")[0]
                if not name.startswith(UNWANTED):
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)
        for name in USUAL.split():
            importlib.import_module(name)
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")  # glibc opens it only when a thread ends
    site.setquit()  # without `-S` these would be there already; `exit()` is how many programs end
    site.sethelper()
    "".encode("idna")  # an encoding is looked up on its first use
