"""Landlock: which files this process and its children may touch from here on, by the kernel's own access control. Needs no privilege."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from core.jail import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG = (
    1 << n for n in range(9)
)
MAKE_SYM, REFER, TRUNCATE = 1 << 12, 1 << 13, 1 << 14
FILES_BY_VERSION = (0, 13, 14, 15, 15, 16)
"""How many kinds of access to files each version knows; later ones as many as the last."""
CREATE_VERSION, PATH_BENEATH = 1, 1

READ = READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
SCRATCH = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

Rule = tuple[Path, int]


def version() -> int:
    """Of the kernel's Landlock; raises where there is none."""
    return kernel.call("landlock_create_ruleset", None, 0, CREATE_VERSION)


def handled(newest: int) -> bytes:
    """struct landlock_ruleset_attr: everything that this version can forbid is forbidden."""
    known = FILES_BY_VERSION[min(newest, len(FILES_BY_VERSION) - 1)]
    words = [(1 << known) - 1]
    if newest >= 4:
        words.append(0b11)  # binding and connecting TCP
    if newest >= 6:
        words.append(0b11)  # abstract sockets and signals to outside
    return struct.pack(f"={len(words)}Q", *words)


def ruleset(rules: Sequence[Rule]) -> int:
    """A descriptor of the rules; paths that do not exist need none."""
    words = handled(version())
    (known,) = struct.unpack_from("=Q", words)
    made = kernel.call("landlock_create_ruleset", words, len(words), 0)
    for path, access in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        if not path.is_dir():
            access &= OF_A_FILE
        kernel.call("landlock_add_rule", made, PATH_BENEATH, struct.pack("=Qi", access & known, place), 0)
        os.close(place)
    return made


def restrict(rules: int) -> None:
    """This process, for good. Needs no_new_privs."""
    kernel.call("landlock_restrict_self", rules, 0)
