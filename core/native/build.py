"""Compiling C++ for the processor at hand, once; the library stands in the user's cache, named after all that went into it.

There are no headers but the language's own, so that it takes seconds and any compiler will do.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from core.data.cache import default_cache

HERE = Path(__file__).parent
SOURCES = ("decoder.cpp", "candidates.hpp", "encoder.hpp", "blocks.hpp", "linear.hpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


class CannotBuild(Exception):
    """Why there is no library."""


@cache
def library() -> ctypes.CDLL:
    """The functions of decoder.cpp and what it includes. Raises CannotBuild."""
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise CannotBuild(f"there is no C++ compiler ({', '.join(COMPILERS)})")
    target = default_cache() / "native" / f"{name_of(compiler)}.so"
    if not target.exists():
        compile_to(compiler, target)
    try:
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise CannotBuild(f"{target} cannot be loaded: {error}") from None


def name_of(compiler: str) -> str:
    """By sources, flags, compiler and processor."""
    parts = [(HERE / name).read_bytes() for name in SOURCES]
    parts += [" ".join(FLAGS).encode(), _asked(compiler, "--version"), processor().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]


def processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def compile_to(compiler: str, target: Path) -> None:
    """In a file of its own first, so that whoever else compiles at this moment gets in nobody's way."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / "made.so"
            command = [compiler, *FLAGS, "-o", str(made), str(HERE / SOURCES[0])]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                said = (ran.stderr.strip() or "nothing said").splitlines()[0]
                raise CannotBuild(f"{compiler} ended with status {ran.returncode}: {said}")
            os.replace(made, target)
    except OSError as error:
        raise CannotBuild(f"{target.parent}: {error.strerror}") from None


def _asked(compiler: str, flag: str) -> bytes:
    ran = subprocess.run([compiler, flag], capture_output=True, check=False)
    return ran.stdout
