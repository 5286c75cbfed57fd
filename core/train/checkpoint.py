"""A checkpoint is a folder of safetensors and JSON under a manifest of digests; no pickle is read or written.

Writing: everything goes into `NAME.new`, each file and the folder are synced, then `NAME` becomes `NAME.old`,
`NAME.new` becomes `NAME`, and `NAME.old` goes. At every instant one whole checkpoint is to be found, by `find`.
Reading: a file's bytes are hashed before they are parsed, so a flipped bit never reaches a model.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from core.errors import DataError
from core.train.durable import made, not_saved, sync_folder, write_synced
from core.train.ranks import like, whole

FORMAT = 1
LONGEST_LIST = 1 << 24
"""Bytes of a manifest."""
JSON_FILES = ("config.json", "codecs.json", "trainer.json")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder holds."""

    config: dict[str, Any]
    codecs: dict[str, Any]
    weights: dict[str, Tensor]
    trainer: dict[str, Tensor]
    facts: dict[str, Any]
    """trainer.json: step, cursor, best score, environment, data."""

    @property
    def step(self) -> int:
        return self.facts["step"]


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, shard_mib: int = 0) -> None:
    """Replace `path` by this checkpoint, whole or not at all; NotSaved where it cannot be."""
    files: dict[str, bytes] = {
        "config.json": as_json(checkpoint.config),
        "codecs.json": as_json(checkpoint.codecs),
        "trainer.json": as_json(checkpoint.facts),
        **shards("weights", checkpoint.weights, shard_mib),
        **shards("trainer", checkpoint.trainer, shard_mib),
    }
    manifest = {
        "format": FORMAT,
        "files": {name: {"sha256": digest(files[name]), "bytes": len(files[name])} for name in sorted(files)},
    }
    files["manifest.json"] = as_json(manifest)
    new, old = path.with_name(path.name + ".new"), path.with_name(path.name + ".old")
    try:
        made(path.parent)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for name, content in files.items():
            write_synced(new / name, content)
        sync_folder(new)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        new.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        if old.exists() and not path.exists():
            with suppress(OSError):
                old.rename(path)
        shutil.rmtree(new, ignore_errors=True)
        raise not_saved(path, sum(map(len, files.values())), error) from None
    shutil.rmtree(old, ignore_errors=True)


def find(path: Path) -> Path | None:
    """The folder that holds this checkpoint, wherever a crash may have left it."""
    new, old = path.with_name(path.name + ".new"), path.with_name(path.name + ".old")
    if path.is_dir():
        return path
    left = [one for one in (new, old) if (one / "manifest.json").is_file()]
    return next(filter(sound, left), left[-1] if left else None)


def sweep(checkpoints: Path) -> None:
    """Finish or clear what a crash left half done; what is damaged and alone is left for `read_checkpoint` to name."""
    if not checkpoints.is_dir():
        return
    for proper in sorted(
        {left.with_suffix("") for ending in ("new", "old") for left in checkpoints.glob(f"*.{ending}")}
    ):
        found = find(proper)
        if found is not None and found != proper:
            if not sound(found):
                continue
            found.rename(proper)
        for ending in (".new", ".old"):
            shutil.rmtree(proper.with_name(proper.name + ending), ignore_errors=True)


def sound(folder: Path) -> bool:
    """Whether all digests agree."""
    try:
        verified(folder)
    except DataError:
        return False
    return True


def read_checkpoint(path: Path) -> Checkpoint | None:
    """None where nothing was ever saved; DataError where what was saved is damaged.

    A training may replace it meanwhile: then some files are of the old one, some of the new one, so it is read twice.
    """
    folder = find(path)
    if folder is None:
        return None
    with suppress(DataError):
        return parsed(folder, verified(folder))
    folder = find(path) or folder
    return parsed(folder, verified(folder))


def parsed(folder: Path, files: dict[str, bytes]) -> Checkpoint:
    """What these files say."""
    trees = {name: parse_json(folder / name, files[name]) for name in JSON_FILES}
    step: Any = trees["trainer.json"].get("step")
    if type(step) is not int or step < 0:
        raise DataError(f"{folder / 'trainer.json'} is corrupt: step: {step!r:.40}; a whole number is right")
    return Checkpoint(
        trees["config.json"],
        trees["codecs.json"],
        tensors(files, "weights", folder),
        tensors(files, "trainer", folder),
        trees["trainer.json"],
    )


def verified(folder: Path) -> dict[str, bytes]:
    """All files that the manifest lists, their digests compared."""
    manifest = read_bytes(folder / "manifest.json")
    listed = parse_json(folder / "manifest.json", manifest)
    if listed.get("format") != FORMAT:
        raise DataError(
            f"{folder / 'manifest.json'}: checkpoint format {listed.get('format')!r}; this version reads {FORMAT}"
        )
    entries = listed.get("files")
    try:
        exact = as_json({"format": FORMAT, "files": entries}) == manifest
    except (ValueError, RecursionError):
        exact = False
    if not exact or not isinstance(entries, dict) or not set(JSON_FILES) <= set(entries):
        raise DataError(f"{folder / 'manifest.json'} is corrupt: it is no list of the files of a checkpoint")
    files: dict[str, bytes] = {}
    for name, entry in entries.items():
        if Path(name).name != name or name in ("", ".", "..") or not name.isprintable():
            raise DataError(f"{folder / 'manifest.json'} is corrupt: {name!r} is no file name")
        content = read_bytes(folder / name, size_of(entry))
        if entry != {"sha256": digest(content), "bytes": len(content)}:
            raise DataError(
                f"{folder / name} is corrupt: its {len(content):,} bytes are not those that the manifest lists"
            )
        files[name] = content
    return files


def tensors(files: Mapping[str, bytes], stem: str, folder: Path) -> dict[str, Tensor]:
    """One file or its shards."""
    names = sorted(name for name in files if name.startswith(stem) and name.endswith(".safetensors"))
    if not names:
        raise DataError(f"{folder}: no {stem}.safetensors in the manifest")
    found: dict[str, Tensor] = {}
    for name in names:
        try:
            found |= parse_tensors(files[name])
        except Exception as error:  # the parser's own error type differs between versions
            raise DataError(f"{folder / name} is corrupt: {error}") from None
    return found


def shards(stem: str, held: Mapping[str, Tensor], shard_mib: int) -> dict[str, bytes]:
    """File name -> bytes; equal tensors give equal bytes."""
    limit = shard_mib * 2**20
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name in sorted(held):
        tensor = held[name].detach().cpu().contiguous()
        size = tensor.numel() * tensor.element_size()
        if limit and parts[-1] and filled + size > limit:
            parts.append({})
            filled = 0
        parts[-1][name] = tensor
        filled += size
    if len(parts) == 1:
        return {f"{stem}.safetensors": dump_tensors(parts[0])}
    count = len(parts)
    return {f"{stem}-{n:05d}-of-{count:05d}.safetensors": dump_tensors(part) for n, part in enumerate(parts, start=1)}


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Each parameter once, tied ones under their first name, in storage of their own."""
    found = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: whole(one.detach()).clone() for name, one in found.items()}


def put_weights(model: torch.nn.Module, weights: Mapping[str, Tensor], place: str) -> None:
    """The inverse of `weights_of`; ties stay ties. A missing, foreign or misshapen tensor is named."""
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    if missing := sorted(set(own) ^ set(weights)):
        raise DataError(f"{place}: weights and config disagree about {missing[0]}")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != weights[name].shape:
                old, new = tuple(weights[name].shape), tuple(tensor.shape)
                raise DataError(f"{place}: {name} has shape {old}, the config asks for {new}")
            tensor.copy_(like(weights[name], tensor))


def as_json(tree: Any) -> bytes:
    """Sorted, so that equal trees give equal bytes."""
    return (json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def parse_json(path: Path, content: bytes) -> dict[str, Any]:
    """An object, or DataError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    try:
        tree = json.loads(content.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is corrupt: {error}") from None
    if not isinstance(tree, dict):
        raise DataError(f"{path} is corrupt: not a JSON object")
    return tree


def size_of(entry: Any) -> int:
    """What a manifest says of a file; -1 where it says nothing that can be."""
    size: Any = entry.get("bytes") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType]
    return size if type(size) is int else -1


def read_bytes(path: Path, size: int | None = None) -> bytes:
    """A regular file's content; links are not followed, pipes not waited for, and nothing is read of a file of another size."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            told = os.fstat(handle)
            if not stat.S_ISREG(told.st_mode):
                raise DataError(f"{path} is corrupt: not a regular file")
            if told.st_size > LONGEST_LIST if size is None else told.st_size != size:
                raise DataError(
                    f"{path} is corrupt: its {told.st_size:,} bytes are not those that the manifest lists"
                    if size is not None
                    else f"{path} is corrupt: {told.st_size:,} bytes; a list of files has at most {LONGEST_LIST:,}"
                )
            return file.read(told.st_size + 1)
    except MemoryError:
        raise DataError(f"{path}: more than this machine's memory holds") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is corrupt or missing: {getattr(error, 'strerror', None) or error}") from None


def digest(content: bytes) -> str:
    """sha256, in hex."""
    return hashlib.sha256(content).hexdigest()
