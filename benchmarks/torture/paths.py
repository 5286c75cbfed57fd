"""S4, S5: names that lead elsewhere, what stands where a file should, and files exchanged while they are read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
from pathlib import Path
from typing import Any

import torch

from benchmarks.torture.doors import checkpoint
from benchmarks.torture.rows import Row, Trial, hold
from core.errors import DataError
from core.record import Hypothesis, Prediction, Record
from core.run.written import destination
from core.task import Format
from core.train.checkpoint import read_checkpoint

NAMES = (
    "../x",
    "../../x",
    "/etc/passwd",
    "/tmp/x",
    "a/../../x",
    "a/b",
    "..",
    ".",
    "",
    "\0",
    "a\0b",
    "x" * 300,
    "x" * 5000,
    "con",
    "nul",
    "~",
    "~/x",
    "-rf",
    "--help",
    "*",
    "?",
    "a\nb",
    "a\rb",
    "\x1b[2J",
    "\u202e",
    "..\\x",
    "C:\\x",
    "file:///etc/passwd",
    "http://x/y",
    "$HOME",
    "`id`",
    "$(id)",
    "; id",
    "| id",
    "&& id",
    "<x>",
    '"',
    "'",
    "%2e%2e%2f",
    "....//x",
    "\ud800",
    "é",
    "e\u0301",
    ".hidden",
    "x ",
    " x",
    "x.",
    "weights.safetensors/",
    "./weights.safetensors",
    "weights.safetensors\0.json",
    "/dev/zero",
    "/proc/self/mem",
)


def paths(trial: Trial) -> None:
    """Names in manifests, links and devices in a run folder, ids of records whose answers go into files of their own."""
    run = checkpoint(trial.place)
    outside = trial.place / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    for name in NAMES:
        named(trial, run, name)
    for kind in ("symbolic link", "hard link out", "folder", "pipe", "device", "socket"):
        stands(trial, run, kind)
    written(trial)
    hold(
        (outside / "secret").read_text() == "secret" and len(list(outside.iterdir())) == 1,
        "something outside was changed",
    )


def named(trial: Trial, run: Path, name: str) -> None:
    """A manifest that lists a file of that name, with the digest of what such a file may hold."""
    own = trial.place / "named"
    shutil.copytree(run, own, dirs_exist_ok=True)
    listed = json.loads((own / "manifest.json").read_text())
    listed["files"][name] = dict(listed["files"]["config.json"])
    exact = name != "\ud800"
    text = json.dumps(listed, indent=1, sort_keys=True, ensure_ascii=not exact) + "\n"
    (own / "manifest.json").write_text(text)
    try:
        read_checkpoint(own)
    except DataError as error:
        hold("\n" not in str(error) and "\x1b" not in str(error), f"no single line: {error!s:.200}")
        trial.count("paths refused")
    else:
        raise AssertionError(f"{name!r} was read")
    shutil.rmtree(own)


def stands(trial: Trial, run: Path, kind: str) -> None:
    """The weights are no file of their own."""
    own = trial.place / "stands"
    shutil.copytree(run, own)
    path = own / "weights.safetensors"
    aside = trial.place / "aside.safetensors"
    path.rename(aside)
    match kind:
        case "symbolic link":
            path.symlink_to(aside)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))
        case _:
            os.link(aside, path)
    try:
        read_checkpoint(own)
    except DataError as error:
        hold(str(path) in str(error), f"another file is named: {error}")
        trial.count("paths refused")
    else:
        hold(
            kind == "hard link out", f"a {kind} was read"
        )  # its bytes are those that the manifest names: no harm in it
    shutil.rmtree(own)


def written(trial: Trial) -> None:
    """A file an answer, called by the record's id: within the folder, whatever the id."""
    form: Format[Any] = Format(write=lambda prediction, n_best: prediction.hypotheses[0].output, suffix=".txt")
    folder = trial.place / "answers"
    with destination(form, folder, folder=True) as write:
        for name in NAMES:
            write(Prediction(Record(name, "x"), (Hypothesis("answer", 0.0),)), 1)
    found = list(folder.rglob("*"))
    hold(
        len(found) == len(NAMES) and all(one.is_file() and one.parent == folder for one in found),
        f"{len(found)} files",
    )
    trial.count("paths refused", len(NAMES))


def races(trial: Trial) -> None:
    """Another process exchanges the weights for others again and again: what is read is what the manifest names, or nothing."""
    run = checkpoint(trial.place)
    own = trial.place / "raced"
    shutil.copytree(run, own)
    path, good = own / "weights.safetensors", (own / "weights.safetensors").read_bytes()
    evil = bytearray(good)
    evil[-4:] = struct.pack("<f", 666.0)
    whole = read_checkpoint(own)
    assert whole is not None
    child = os.fork()
    if child == 0:
        number = 0
        while os.getppid() != 1:
            number += 1
            beside = own / "beside"
            beside.write_bytes(good if number % 2 else bytes(evil))
            beside.rename(path)
    try:
        for _ in range(100 if not trial.quick else 10):
            try:
                found = read_checkpoint(own)
                assert found is not None
                same = all(torch.equal(found.weights[name], whole.weights[name]) for name in whole.weights)
                hold(same, "weights that no manifest names were taken")
                trial.count("races: the true file")
            except DataError:
                trial.count("races: refused")
            trial.count("races")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


ROWS = (
    Row(
        "S4",
        threat="names that lead elsewhere, links, pipes and devices in a run folder; ids of records that name files",
        promise="Refused, or kept within the folder; nothing waits and nothing outside is changed.",
        trial=paths,
        unit="paths refused",
        goal=60,
        full=1,
        quick=1,
        seconds=3.0,
    ),
    Row(
        "S5",
        threat="weights exchanged between the digest and the reading",
        promise="Those that the manifest names, or none.",
        trial=races,
        unit="races",
        goal=1000,
        full=10,
        quick=1,
        seconds=10.0,
    ),
)
