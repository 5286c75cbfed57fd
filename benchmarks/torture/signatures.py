"""S6: runs that are not what their maker signed."""

from __future__ import annotations

import base64
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.torture.rows import Row, Trial, hold
from core.errors import DataError
from core.signature import NAME, TOP, entry, sign, trusted, verify
from core.train.checkpoint import Checkpoint, write_checkpoint

AT_A_TIME = 50
"""Changes of a trial."""


def key_pair(folder: Path, name: str, draw: random.Random) -> Path:
    """NAME and NAME.pub, as ssh-keygen leaves them."""
    secret = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
    path = folder / name
    path.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    public = secret.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b"\n")
    return path


def held(run: Path, draw: random.Random) -> Path:
    """A file that is signed."""
    return run / draw.choice(sorted(json.loads((run / NAME).read_text())["files"]))


def unsigned(run: Path, draw: random.Random, stranger: Path) -> None:
    """Nobody says who made it."""
    (run / NAME).unlink()


def by_a_stranger(run: Path, draw: random.Random, stranger: Path) -> None:
    """Changed, and signed anew with another key."""
    held(run, draw).write_bytes(draw.randbytes(20))
    sign(run, stranger)


def under_the_name_of(run: Path, draw: random.Random, stranger: Path) -> None:
    """A stranger's signature with the maker's key written beside it."""
    tree = json.loads((run / NAME).read_text())
    sign(run, stranger)
    (run / NAME).write_text(json.dumps(json.loads((run / NAME).read_text()) | {"key": tree["key"]}))


def flipped(run: Path, draw: random.Random, stranger: Path) -> None:
    """A bit."""
    path = held(run, draw)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(content))


def cut(run: Path, draw: random.Random, stranger: Path) -> None:
    """A file that ends too soon."""
    path = held(run, draw)
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content))])


def longer(run: Path, draw: random.Random, stranger: Path) -> None:
    """A file with more at its end."""
    path = held(run, draw)
    path.write_bytes(path.read_bytes() + draw.randbytes(1 + draw.randrange(64)))


def gone(run: Path, draw: random.Random, stranger: Path) -> None:
    """A file that is not there."""
    held(run, draw).unlink()


def exchanged(run: Path, draw: random.Random, stranger: Path) -> None:
    """Shards or other files in another order: all digests are still there, under other names."""
    names = sorted(json.loads((run / NAME).read_text())["files"])
    while True:
        one, other = (run / name for name in draw.sample(names, 2))
        if one.read_bytes() != other.read_bytes():
            break
    here, there = one.read_bytes(), other.read_bytes()
    one.write_bytes(there)
    other.write_bytes(here)


def added(run: Path, draw: random.Random, stranger: Path) -> None:
    """A file that a reader would take."""
    names = [name for name in TOP if not (run / name).exists()] + [
        "checkpoints/best/weights-00002-of-00002.safetensors"
    ]
    (run / draw.choice(names)).write_text("{}")


def renamed(run: Path, draw: random.Random, stranger: Path) -> None:
    """The weights of an ended crash, which are read where there are no others."""
    (run / "checkpoints/best").rename(
        run / draw.choice(["checkpoints/best.old", "checkpoints/best.new", "checkpoints/last"])
    )


def linked(run: Path, draw: random.Random, stranger: Path) -> None:
    """A link where a file was."""
    path = held(run, draw)
    path.rename(run / "elsewhere")
    path.symlink_to(run / "elsewhere")


def told_otherwise(run: Path, draw: random.Random, stranger: Path) -> None:
    """The list of what was signed, changed."""
    tree: dict[str, Any] = json.loads((run / NAME).read_text())
    name = draw.choice(sorted(tree["files"]))
    match draw.randrange(4):
        case 0:
            del tree["files"][name]
        case 1:
            tree["files"][name]["sha256"] = draw.randbytes(32).hex()
        case 2:
            tree["files"][f"{name}2"] = tree["files"].pop(name)
        case _:
            tree["files"]["../x"] = entry(b"")
    (run / NAME).write_text(json.dumps(tree))


def otherwise_written(run: Path, draw: random.Random, stranger: Path) -> None:
    """The signature itself: other bytes, too few, none, another kind of value."""
    tree: dict[str, Any] = json.loads((run / NAME).read_text())
    content = bytearray(base64.b64decode(tree["signature"]))
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    other = base64.b64encode(bytes(content)).decode()
    tree["signature"] = draw.choice(
        [other, tree["signature"][: draw.randrange(80)], "", None, 0, [], {}, "\u2028" * 88]
    )
    (run / NAME).write_text(json.dumps(tree))


CHANGES: tuple[Callable[[Path, random.Random, Path], None], ...] = (
    unsigned,
    by_a_stranger,
    under_the_name_of,
    flipped,
    cut,
    longer,
    gone,
    exchanged,
    added,
    renamed,
    linked,
    told_otherwise,
    otherwise_written,
)


def signatures(trial: Trial) -> None:
    """Each change is refused by `verify` and before a byte is copied for a reader; what was not changed is taken."""
    draw, signed = trial.random, trial.place / "signed"
    weights = {"a": torch.ones(300_000), "b": torch.zeros(300_000)}
    write_checkpoint(
        signed / "checkpoints/best", Checkpoint({}, {}, weights, {"moment": torch.ones(3)}, {"step": 1}), shard_mib=1
    )
    for name in TOP[:3]:
        (signed / name).write_text(f"# {name}\n")
    own, stranger = key_pair(trial.place, "own", draw), key_pair(trial.place, "stranger", draw)
    public = own.with_suffix(".pub")
    made = sign(signed, own)
    with trusted(signed, public) as copy:
        for name in made.files:
            hold((copy / name).read_bytes() == (signed / name).read_bytes(), f"{name} is another file in the copy")
    trial.count("signatures that hold")
    for number in range(len(CHANGES) if trial.quick else AT_A_TIME):
        change = CHANGES[number % len(CHANGES)]
        run = Path(shutil.copytree(signed, trial.place / "run"))
        change(run, draw, stranger)
        for look in (verify, taken):
            try:
                look(run, public)
            except DataError as error:
                hold(str(run) in str(error), f"{change.__name__}: refused without its place: {error}")
                hold("\n" not in str(error), f"{change.__name__}: refused in more than a line")
            else:
                hold(False, f"{change.__name__}: taken as signed by {made.by}")
        trial.count(f"refused: {change.__name__.replace('_', ' ')}")
        trial.count("changed runs refused")
        shutil.rmtree(run)


def taken(run: Path, keys: Path) -> None:
    """As a reader takes it."""
    with trusted(run, keys):
        pass


ROWS = (
    Row(
        "S6",
        threat="runs that are not what their maker signed: unsigned, by another key, changed, in another order",
        promise="Refused with the file's name before a reader sees a byte of it.",
        trial=signatures,
        unit="changed runs refused",
        goal=1000,
        full=20,
        quick=1,
        seconds=3.0,
    ),
)
