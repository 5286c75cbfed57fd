"""Where `predict` writes, and in which format."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.record import Prediction
from core.run.folder import is_stream
from core.task import Format, Task

Write = Callable[[Prediction, int], None]
"""One answer, and how many hypotheses of it were asked for."""


def choose_format(task: Task[Any], name: str | None) -> Format[Any]:
    """`--format`: jsonl, one of the task's, or the task's first; plain text where it has none."""
    own = {key: one for key, one in task.formats.items() if one.write is not None}
    if name is None:
        return next(iter(own.values()), TEXT)
    choices = {"text": TEXT, "jsonl": JSON, **own}
    if name not in choices:
        raise ConfigError(f"--format {name}: unknown; one of {', '.join(choices)}")
    return choices[name]


def settings_of(form: Format[Any], overrides: Sequence[str]) -> tuple[str, ...]:
    """What a format needs, where the user says nothing else."""
    told = {one.partition("=")[0] for one in overrides}
    return tuple(one for one in form.overrides if one.partition("=")[0] not in told)


@contextmanager
def destination(form: Format[Any], output: Path | None, *, folder: bool) -> Generator[Write, None, None]:
    """Standard output, one file that appears when it is whole, or a folder with a file an input."""
    if output is not None and folder:
        yield into_folder(form, output)
        return
    if form.write is None:
        raise ConfigError("this format cannot be written")
    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output {output}: no such folder {output.parent}")
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8")  # pyright: ignore[reportAttributeAccessIssue]
        with framed(form, sys.stdout.write) as write:
            yield flushing(write)
        return
    if is_stream(output):
        with output.open("w", encoding="utf-8", newline="\n") as file, framed(form, file.write) as write:
            yield write
        return
    beside = output.with_name(f".{output.name}.new")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file, framed(form, file.write) as write:
            yield write
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)


def flushing(write: Write) -> Write:
    """Whoever reads the other end of a pipe gets each answer when it is there."""

    def now(prediction: Prediction, n_best: int) -> None:
        write(prediction, n_best)
        sys.stdout.flush()

    return now


@contextmanager
def framed(form: Format[Any], out: Callable[[str], object]) -> Generator[Write, None, None]:
    """Head, answers, foot."""

    written = 0

    def write(prediction: Prediction, n_best: int) -> None:
        nonlocal written
        text = form.write(prediction, n_best) if form.write else ""
        if isinstance(text, bytes):
            raise ConfigError("this format is no text: give --output FOLDER/, where each input gets a file of its own")
        out((form.between if written else "") + text + "\n")
        written += 1

    out(form.head)
    yield write
    out(form.foot)


def into_folder(form: Format[Any], folder: Path) -> Write:
    """KEY + suffix, each file whole or not there; two inputs of one name get numbers."""
    if not form.suffix or form.write is None:
        raise ConfigError(f"--output {folder}: a folder, but this format writes one file; name that file")
    folder.mkdir(parents=True, exist_ok=True)
    once = named_once()

    def write(prediction: Prediction, n_best: int) -> None:
        content = form.write(prediction, n_best) if form.write else ""
        name = once(prediction.record.key)
        if isinstance(content, str):
            content = (form.head + content + "\n" + form.foot).encode()
        beside = folder / f".{name}{form.suffix}.new"
        beside.write_bytes(content)
        beside.replace(folder / f"{name}{form.suffix}")

    return write


LONGEST_NAME = 160
"""Bytes of a file's name without endings and numbers; file systems have 255 in all."""


def named_once() -> Callable[[str], str]:
    """From keys to names of files, no two alike."""
    used: set[str] = set()

    def name_of(key: str) -> str:
        stem = re.sub(r"[^\w.+-]+", "_", Path(key).name).strip("._") or "input"
        if len(whole := stem.encode("utf-8", "replace")) > LONGEST_NAME:
            stem = whole[:LONGEST_NAME].decode("utf-8", "ignore")
        name, number = stem, 1
        while name in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name)
        return name

    return name_of


def as_text(prediction: Prediction, n_best: int) -> str:
    """The answers, one a line."""
    return "\n".join(prediction.lines(n_best))


def as_json(prediction: Prediction, n_best: int) -> str:
    """One line an input: the answers with their scores."""
    error = prediction.record.meta.get("error")
    return json.dumps(
        {
            **({"error": error} if error else {}),
            **({"abstained": True} if "abstained" in prediction.record.meta else {}),
            "id": prediction.record.key,
            "source": prediction.record.source,
            "output": prediction.output,
            "hypotheses": [
                {
                    "output": one.output,
                    "score": one.score,
                    "logp": sum(one.logp),
                    "tokens_logp": list(one.logp),
                    **({} if one.confidence is None else {"confidence": one.confidence}),
                    "finish": one.finish,
                    **({"frames": one.frames} if one.frames else {}),
                }
                for one in prediction.hypotheses[:n_best]
            ],
        },
        ensure_ascii=False,
        default=str,
    )


TEXT: Format[Any] = Format(write=as_text, suffix=".txt")
JSON: Format[Any] = Format(write=as_json, suffix=".json")
