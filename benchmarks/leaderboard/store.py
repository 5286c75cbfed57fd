"""Results on disk: one JSON a cell, written whole or not at all, with a digest that says whether it still is what was written.

Any number of processes may write at once. A result's name says which cell it is, so that a cell written twice is there
once; it is written beside under a name that nobody else has, flushed to the disk, then renamed, which is atomic. Whoever
is killed in between leaves a file that begins with a dot: no reader looks at it, and it is swept away after an hour.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.data.jsonl import refuse_constant
from core.errors import DataError

RESULTS = Path(__file__).resolve().parents[1] / "results"
BOARD = "board"
"""The folder in RESULTS/<task>/ that holds the leaderboard's results."""
FORMAT = 1
STALE_SECONDS = 3600
SWEPT: set[Path] = set()
"""Folders that this process has looked through."""
NEEDED = ("format", "kind", "task", "system", "budget", "date", "split", "data", "primary", "metrics", "cost", "digest")
Result = dict[str, Any]


def digest_of(tree: Any) -> str:
    """sha256 of the canonical JSON."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def name_of(result: Result) -> str:
    """The cell: budget, system, seed, config, data, revision."""
    seed = "fixed" if result["seed"] is None else f"seed{result['seed']}"
    parts = (
        *(result["budget"], result["system"], seed),
        *(result["config_sha256"][:8], result["data"]["sha256"][:8], str(result["git"])[:8]),
    )
    return "-".join(re.sub(r"[^\w.+-]+", "_", part) for part in parts) + ".json"


def write_result(result: Result, results: Path = RESULTS) -> Path:
    """All of it or nothing; returns the file."""
    folder = results / result["task"] / BOARD
    folder.mkdir(parents=True, exist_ok=True)
    if folder not in SWEPT:  # once a process: a folder of thousands takes its time to list
        SWEPT.add(folder)
        sweep(folder)
    whole = {name: value for name, value in result.items() if name != "digest"} | {"format": FORMAT}
    text = json.dumps({**whole, "digest": digest_of(whole)}, indent=1, sort_keys=True, allow_nan=False) + "\n"
    path = folder / name_of(result)
    beside = folder / f".{os.getpid()}-{uuid.uuid4().hex}.new"
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    flush_folder(folder)
    return path


def flush_folder(folder: Path) -> None:
    """The new name is on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """What killed writers left, once nobody can be writing it any more."""
    for path in folder.glob(".*.new"):
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue


def read_result(path: Path) -> Result:
    """Refuses a damaged one, with its name."""
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(tree, dict):
        raise DataError(f"{path}: not a JSON object")
    if missing := [name for name in NEEDED if name not in tree]:
        raise DataError(f"{path}: not a result of the leaderboard: no {', '.join(missing)}")
    if tree["format"] != FORMAT:
        raise DataError(f"{path}: format {tree['format']}; this program reads {FORMAT}")
    body = {name: value for name, value in tree.items() if name != "digest"}
    try:
        agrees = digest_of(body) == tree["digest"]
    except (ValueError, RecursionError):  # 1e999 is no constant, and no number either
        agrees = False
    if not agrees:
        raise DataError(f"{path}: its digest does not fit its content: damaged, or edited by hand")
    return tree


def read_results(results: Path = RESULTS) -> list[Result]:
    """Of all tasks, in the order of their names; every digest is checked."""
    return [read_result(path) for path in result_files(results)]


def result_files(results: Path = RESULTS) -> Iterator[Path]:
    """Whole files only."""
    yield from sorted(path for path in results.glob(f"*/{BOARD}/*.json") if not path.name.startswith("."))
