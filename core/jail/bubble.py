"""What bubblewrap is told: the same little file system and namespaces as the first tier's, plus what starting an interpreter takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from core.jail import interpreter, limits
from core.jail.identity import NOBODY

SHARED_OBJECTS = tuple(Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"))


def options(folder: Path, root: Path) -> list[str]:
    """Its arguments. Started by root it would leave root's capabilities: hence a user namespace and none kept, always.

    Not --die-with-parent: its parent is a thread, which may end before its process. The zygote ends with its requests.
    """
    return [
        *("--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--new-session", "--hostname", "jail"),
        *(word for path in sorted(needed(), key=lambda path: len(path.parts)) for word in bound(path)),
        *(word for path in hidden() for word in ("--tmpfs", str(path))),
        *("--ro-bind", str(root / "core" / "jail"), str(root / "core" / "jail")),
        *("--ro-bind", str(root / "core" / "__init__.py"), str(root / "core" / "__init__.py")),
        *("--ro-bind", str(root / "core" / "errors.py"), str(root / "core" / "errors.py")),
        *(word for path in interpreter.DEVICES for word in ("--dev-bind", str(path), str(path))),
        *("--size", str(limits.SCRATCH_MIB << 20), "--tmpfs", str(folder), "--remount-ro", "/"),
        "--",
    ]


def bound(path: Path) -> tuple[str, ...]:
    """One path as it is, links as links."""
    if path.is_symlink():
        return ("--symlink", str(path.readlink()), str(path))
    return ("--ro-bind", str(path), str(path))


def needed() -> Iterator[Path]:
    """The interpreter, its library and shared objects."""
    start = Path(sys.executable)
    yield start.resolve()
    places = {
        start.parent.parent / "pyvenv.cfg",
        *chain(start),
        *interpreter.libraries(),
        interpreter.ZONES,
        *SHARED_OBJECTS,
    }
    places |= set(Path(sys.base_prefix, "lib").glob("libpython*"))
    for place in sorted(places):
        if place.exists() and place != start.resolve():
            yield place


def chain(path: Path) -> Iterator[Path]:
    """The links that lead from a path to its file."""
    while path.is_symlink():
        yield path
        path = path.parent / path.readlink()


def hidden() -> Iterator[Path]:
    """Packages of others, wherever they lie in what is bound."""
    folders = {*interpreter.libraries(), Path("/usr/lib/python3")}
    for folder in sorted(folders):
        for name in interpreter.INSTALLED:
            if (folder / name).is_dir():
                yield (folder / name).resolve()
