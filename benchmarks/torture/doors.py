"""Every way by which a stranger's file comes in: what it is called there, and what then reads it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from core.cli import dispatch
from core.data.jsonl import read_jsonl
from core.errors import BadRecord, UserError
from core.train.checkpoint import FORMAT, JSON_FILES, Checkpoint, as_json, digest, write_checkpoint
from core.train.published import beside, read
from tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("train.steps=1", "train.evaluate_every=1", "train.evaluate_records=2", "train.final_records=2", "save.every=1")
BEST, LAST = "checkpoints/best", "checkpoints/last"
RUN_FILES = {
    f"{BEST}/weights.safetensors": "predict",
    f"{BEST}/trainer.safetensors": "predict",
    f"{BEST}/manifest.json": "predict",
    **{f"{BEST}/{name}": "predict" for name in JSON_FILES},
    f"{LAST}/weights.safetensors": "resume",
    f"{LAST}/trainer.safetensors": "resume",
    f"{LAST}/codecs.json": "resume",
    "config.toml": "predict",
    "calibration.json": "predict",
    "metrics.json": "resume",
    "run.json": "report",
    "log.jsonl": "report",
}
"""A run folder's files, and the verb that reads them."""
UNREAD = (
    f"{BEST}/weights.pt",
    f"{BEST}/pytorch_model.bin",
    f"{BEST}/training_args.bin",
    "model.pkl",
    "tokenizer.model",
)
"""Files that other programs would open in such a folder."""


@dataclass(frozen=True, slots=True)
class Door:
    """One file in a place, and its reader: it returns whether the file was taken, or raises what the user would be told."""

    name: str
    path: Path
    open: Callable[[], bool]


def run_folder(shared: Path) -> Path:
    """A run of one step, trained by whoever comes first."""
    made = shared / "run"
    if not made.is_dir():
        own = shared / f"run.{os.getpid()}"
        words = [ROOT / "configs" / "roman" / "tiny.toml", *SHORT, "--run", own]
        if code := dispatch("train", lambda: TASKS["roman"], "roman", list(map(str, words))):
            raise RuntimeError(f"the run that strangers change was not made: exit code {code}")
        try:
            own.rename(made)
        except OSError:  # another was quicker
            shutil.rmtree(own)
    return made


def checkpoint(place: Path) -> Path:
    """A small one, where only its files matter."""
    made = place / "checkpoint"
    weights = {"a": torch.ones(3, 4), "b": torch.zeros(5)}
    write_checkpoint(made, Checkpoint({}, {}, weights, {"moment": torch.ones(3, 4)}, {"step": 1}))
    return made


def run_doors(run: Path, place: Path) -> Iterator[Door]:
    """The files of a run folder, in a copy."""
    own = place / "run"
    shutil.copytree(run, own)
    (place / "in.txt").write_text("12\n", encoding="ascii")
    verbs: dict[str, tuple[str, list[str]]] = {
        "predict": ("predict", [str(own), str(place / "in.txt"), "--format", "jsonl"]),
        "resume": ("train", ["--run", str(own), "--resume"]),
        "report": ("report", [str(own), "--output", str(place / "report.html")]),
    }
    for name, verb in RUN_FILES.items():
        yield Door(f"run/{name} by {verb}", own / name, partial(typed, *verbs[verb], own / name))
    for name in UNREAD:
        yield Door(f"run/{name} by predict", own / name, partial(typed, *verbs["predict"], own / name))


def typed(verb: str, words: list[str], path: Path) -> bool:
    """As a user types it, with a manifest that agrees: whoever sends a model writes its digests."""
    if path.parent.parent.name == "checkpoints" and path.name != "manifest.json":
        sign(path.parent)
    code = dispatch(verb, lambda: TASKS["roman"], "roman", words)
    if code not in (0, 2, 3):
        raise RuntimeError(f"exit code {code}")
    if code:
        raise UserError(f"exit code {code}")
    return True


def sign(folder: Path) -> None:
    """The manifest of whatever lies there."""
    files = {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.name != "manifest.json"}
    listed = {name: {"sha256": digest(content), "bytes": len(content)} for name, content in files.items()}
    (folder / "manifest.json").write_bytes(as_json({"format": FORMAT, "files": listed}))


def file_doors(place: Path) -> Iterator[Door]:
    """Records in every format of every task, the layout that all tasks read, and published encoders."""
    for name in TASKS.names():
        task = TASKS[name]
        for form in task.formats.values():
            for ending in form.endings if form.read is not None else ():
                path = place / f"{name}{ending}"
                yield Door(f"{name} {ending}", path, partial(all_read, task, form.read, path))
    for ending in (".jsonl", ".jsonl.gz"):
        path = place / f"records{ending}"
        yield Door(f"records {ending}", path, partial(drained, partial(read_jsonl, path)))
    for name in ("model.safetensors", "pytorch_model.bin", "model.pt", "model.ckpt"):
        path = place / "encoder" / name
        yield Door(f"an encoder's {name}", path, partial(taken, partial(read, path, "train.init_encoder")))
    path = place / "encoder" / "config.json"
    yield Door(
        "an encoder's config.json", path, partial(taken, partial(beside, path, "config.json", "train.init_encoder"))
    )


def all_read(task: Any, reader: Any, path: Path) -> bool:
    """All records of a file."""
    return drained(partial(reader, task.config(), path))


def drained(begin: Callable[[], Iterator[Any]]) -> bool:
    """Whether a record came; a refusal of all of them is one of the file."""
    records, refusal = 0, None
    found = iter(begin())
    while True:
        try:
            next(found)
            records += 1
        except StopIteration:
            break
        except BadRecord as error:
            refusal = error
    if refusal is not None and not records:
        raise refusal
    return bool(records)


def taken(read: Callable[[], Any]) -> bool:
    """What one call reads."""
    read()
    return True
