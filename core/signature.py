"""Who made a run: an Ed25519 signature over the digests of all files that decide what it answers.

`sign` writes RUN/signature.json. `trusted` reads each listed file once, compares its digest with the signed one, and gives a private
copy to read from, so that nothing can be exchanged between the look and the use. Keys are OpenSSH's: `ssh-keygen -t ed25519` makes one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, DataError
from core.train.durable import sync_folder, write_synced

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "signature.json"
FORMAT = 1
LONGEST = 1 << 20
"""Bytes of a signature or a key."""
TOP = ("config.toml", "run.json", "calibration.json", "precision.json", "card.md", "metrics.json")
CHECKPOINTS = ("best", "last", "good")
PURPOSE = b"transduce: these files are one run\n"
"""So that what was signed for another end is no signature of a run."""
HOW = "`pip install 'transduce[sign]'`"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature that holds says."""

    by: str
    """The key's fingerprint, as `ssh-keygen -l` shows it."""
    files: dict[str, dict[str, Any]]


def sign(run: Path, key: Path) -> Signed:
    """Write RUN/signature.json: of files as they are now."""
    secret = private_key(key)
    if not (run / "config.toml").is_file():
        raise ConfigError(f"{run}: not a run folder (it has no config.toml)")
    names = [name for name in TOP if (run / name).is_file()]
    for checkpoint in CHECKPOINTS:
        folder = run / "checkpoints" / checkpoint
        names += sorted(f"checkpoints/{checkpoint}/{one.name}" for one in folder.glob("*") if one.is_file())
    if not any(name.endswith("/manifest.json") for name in names):
        raise DataError(f"{run}: nothing saved yet; train it first (--resume)")
    files = {name: entry(regular(run / name)) for name in names}
    tree = {
        "format": FORMAT,
        "files": files,
        "key": base64.b64encode(secret.public_key().public_bytes_raw()).decode(),
        "signature": base64.b64encode(secret.sign(PURPOSE + statement(files))).decode(),
    }
    beside = run / f".{NAME}.new"
    write_synced(beside, (json.dumps(tree, indent=1, sort_keys=True) + "\n").encode())
    beside.replace(run / NAME)
    sync_folder(run)
    return Signed(fingerprint(secret.public_key()), files)


def verify(run: Path, keys: Path) -> Signed:
    """Whether one of these keys signed this run and nothing has changed since; DataError with what is not so."""
    found = statement_of(run, keys)
    refuse_unsigned(run, found.files)
    for name, wanted in found.files.items():
        compare(run / name, wanted)
    return found


@contextmanager
def trusted(run: Path, keys: Path) -> Generator[Path, None, None]:
    """The same, and a folder of the same name that holds the bytes that were compared, and nobody else can write to."""
    found = statement_of(run, keys)
    refuse_unsigned(run, found.files)
    with tempfile.TemporaryDirectory(prefix="transduce-") as made:
        copy = Path(made) / (run.resolve().name or "run")
        for name, wanted in found.files.items():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(compare(run / name, wanted))
        yield copy


def statement_of(run: Path, keys: Path) -> Signed:
    """What the signature says, once it is known to be one of these keys'."""
    from cryptography.exceptions import InvalidSignature

    known, place = public_keys(keys), run / NAME
    if not os.path.lexists(place):
        raise DataError(f"{run} is not signed: there is no {NAME}; its maker writes one by `sign RUN --key KEY`")
    try:
        tree = json.loads(regular(place, LONGEST).decode("utf-8"))
        files, signature = tree["files"], base64.b64decode(tree["signature"], validate=True)
        content = PURPOSE + statement(files)
        if tree["format"] != FORMAT or not isinstance(files, dict):
            raise ValueError(f"format {tree['format']!r}; this version reads {FORMAT}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{place}: no signature of a run: {error}") from None
    for key in known:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        for name in files:
            refuse_strange(place, name)
        return Signed(fingerprint(key), files)
    wanted = ", ".join(map(fingerprint, known))
    raise DataError(f"{place}: not signed by {wanted}, or changed since")


def refuse_strange(place: Path, name: str) -> None:
    """A name that leads out of the folder: whoever signed it should not have, and it is not followed."""
    parts = PurePosixPath(name).parts
    if (
        not name.isprintable()
        or name.startswith("/")
        or "\\" in name
        or ".." in parts
        or str(PurePosixPath(*parts)) != name
    ):
        raise DataError(f"{place}: {name!r} is no name of a run's file")


def refuse_unsigned(run: Path, files: dict[str, dict[str, Any]]) -> None:
    """What a reader would take and nobody signed."""
    held = [name for name in TOP if os.path.lexists(run / name)]
    for checkpoint in CHECKPOINTS:
        for ending in ("", ".new", ".old"):  # what a crash may leave is read where the proper one is missing
            folder = run / "checkpoints" / f"{checkpoint}{ending}"
            held += sorted(f"checkpoints/{folder.name}/{one.name}" for one in folder.glob("*"))
    if added := [name for name in held if name not in files]:
        raise DataError(f"{run / added[0]}: not among the files that were signed")


def compare(path: Path, wanted: Any) -> bytes:
    """The content, if it is what was signed."""
    size: Any = wanted.get("bytes") if isinstance(wanted, dict) else None  # pyright: ignore[reportUnknownMemberType]
    if type(size) is not int:
        raise DataError(f"{path}: the signature says nothing of its size")
    content = regular(path, size)
    if entry(content) != wanted:
        raise DataError(f"{path}: not what was signed: {len(content):,} bytes that differ")
    return content


def regular(path: Path, longest: int | None = None) -> bytes:
    """Of a regular file, links not followed and pipes not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            told = os.fstat(handle)
            if not stat.S_ISREG(told.st_mode):
                raise DataError(f"{path}: not a regular file")
            if longest is not None and told.st_size > longest:
                raise DataError(f"{path}: {told.st_size:,} bytes; at most {longest:,} are right")
            return file.read(told.st_size + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def entry(content: bytes) -> dict[str, Any]:
    """What is signed of a file, beside its name."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def statement(files: Any) -> bytes:
    """One way to write a list of files, whatever their order was."""
    return json.dumps(files, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """As OpenSSH writes it."""
    kind, raw = b"ssh-ed25519", key.public_bytes_raw()
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind, raw))
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def private_key(path: Path) -> Ed25519PrivateKey:
    """An OpenSSH or PEM file without a passphrase."""
    ed25519, serialization = libraries()
    content = key_bytes(path)
    for read in (serialization.load_ssh_private_key, serialization.load_pem_private_key):
        try:
            key = read(content, None)
        except TypeError:
            raise ConfigError(f"--key {path}: has a passphrase; give a key without one, made for this end") from None
        except (ValueError, serialization_refusal()):
            continue
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key
        raise ConfigError(f"--key {path}: not an Ed25519 key; `ssh-keygen -t ed25519 -f FILE -N ''` makes one")
    raise ConfigError(
        f"--key {path}: no private key that can be read without a passphrase; `ssh-keygen -t ed25519 -f FILE -N ''` makes one"
    )


def public_keys(path: Path) -> list[Ed25519PublicKey]:
    """Of a file with a key a line, as `ssh-keygen` writes FILE.pub; lines of other kinds of key are passed over."""
    ed25519, serialization = libraries()
    found: list[Ed25519PublicKey] = []
    for line in lines_of(key_bytes(path)):
        try:
            key = serialization.load_ssh_public_key(line)
        except (ValueError, serialization_refusal()):
            continue
        if isinstance(key, ed25519.Ed25519PublicKey):
            found.append(key)
    if not found:
        raise ConfigError(f"{path}: holds no line such as `ssh-ed25519 AAAA... name`; that is FILE.pub of `ssh-keygen`")
    return found


def lines_of(content: bytes) -> Iterable[bytes]:
    """With something on them."""
    return (line.strip() for line in content.splitlines() if line.strip())


def key_bytes(path: Path) -> bytes:
    """Of a file that a user names, links followed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(content) > LONGEST:
        raise ConfigError(f"{path}: {len(content):,} bytes are no key")
    return content


def libraries() -> Any:
    """`cryptography`, of an extra."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ConfigError(f"signatures need the package cryptography: {HOW}") from None
    return ed25519, serialization


def serialization_refusal() -> type[Exception]:
    """What `cryptography` raises of a kind of key that it does not know."""
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm
