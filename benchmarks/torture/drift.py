"""R14 and R19: a run that goes on although something has changed, and two trainers in one folder."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.torture import ordeals
from benchmarks.torture.ordeals import (
    Life,
    Ordeal,
    case_of,
    must_end_alike,
    ordeal_of,
    ready,
    train,
)
from benchmarks.torture.points import POINTS, kill_at
from benchmarks.torture.rows import Row, Trial, hold
from core.record import Record, Split
from core.run.folder import RunFolder
from core.train.checkpoint import as_json, digest


@dataclass(frozen=True, slots=True)
class Mutation:
    """Something that is not as it was when the run was saved."""

    field: str
    """As the refusal and `--force` name it."""
    words: tuple[str, ...] = ()
    """Typed with `--resume`."""
    edit: Callable[[Path], None] | None = None
    """Done to the run folder."""
    before: Callable[[], None] | None = None
    """Done to the process."""
    fits: bool = True
    """Whether it can go on when it is forced: a model of another shape cannot."""


def edited(key: str, value: str) -> Callable[[Path], None]:
    """A line of config.toml, by hand."""

    def edit(folder: Path) -> None:
        path = RunFolder(folder).config
        text, n = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", path.read_text(), count=1)
        hold(n == 1, f"config.toml has no line for {key}")
        path.write_text(text)

    return edit


def other_records(change: Callable[[list[Record]], list[Record]], split: Split) -> None:
    """In this process the data is another."""
    real = ordeals.case_of

    def case(name: str) -> tuple[Any, Any]:
        task, cfg = real(name)
        (source,) = task.sources.values()

        def changed(*given: Any) -> Any:
            records = list(source(*given))
            return iter(change(records) if given[-1] == split else records)

        return replace(task, sources=dict.fromkeys(task.sources, changed)), cfg

    ordeals.case_of = case  # type: ignore[assignment]


def fewer(records: list[Record]) -> list[Record]:
    """One is gone."""
    return records[:-1]


def renamed(records: list[Record]) -> list[Record]:
    """One has another key."""
    return [replace(records[0], key=f"{records[0].key}-"), *records[1:]]


def turned(records: list[Record]) -> list[Record]:
    """In another order."""
    return records[::-1]


def other_capability() -> None:
    """Another level of vector instructions."""
    torch.backends.cpu.get_cpu_capability = lambda: "AVX9"


def other_torch() -> None:
    """Another version."""
    real = importlib.metadata.version
    importlib.metadata.version = lambda name: "9.9" if name == "torch" else real(name)


def other_threads() -> None:
    """More threads, whatever the config says."""
    real = torch.get_num_threads
    torch.get_num_threads = lambda: real() + 1


def other_vocabulary(folder: Path) -> None:
    """A tokenizer from elsewhere, under a manifest that agrees: no damage, but not what the run learned with."""
    last = RunFolder(folder).last
    path = last / "codecs.json"
    tree = json.loads(path.read_text())
    lists: list[list[Any]] = [one for one in tree["source"].values() if isinstance(one, list)]
    listed = max(lists, key=len)
    listed[-1], listed[-2] = listed[-2], listed[-1]
    path.write_bytes(as_json(tree))
    manifest = json.loads((last / "manifest.json").read_text())
    content = path.read_bytes()
    manifest["files"]["codecs.json"] = {"sha256": digest(content), "bytes": len(content)}
    (last / "manifest.json").write_bytes(as_json(manifest))


MUTATIONS = (
    Mutation("seed", words=("seed=77",)),
    Mutation("seed", edit=edited("seed", "78")),
    Mutation("train.lr", words=("train.lr=0.5",)),
    Mutation("train.optimizer", words=("train.optimizer=adafactor",), fits=False),
    Mutation("train.steps", words=("train.steps=9",)),
    Mutation("train.accumulate", words=("train.accumulate=3",)),
    Mutation("train.label_smoothing", words=("train.label_smoothing=0.3",)),
    Mutation("train.schedule", words=("train.schedule=constant",)),
    Mutation("train.clip", edit=edited("clip", "0.25")),
    Mutation("train.ema", words=("train.ema=0.5",)),
    Mutation("train.warmup", words=("train.warmup=2",)),
    Mutation("train.weight_decay", words=("train.weight_decay=0.3",)),
    Mutation("batch.tokens", words=("batch.tokens=64",)),
    Mutation("batch.window", edit=edited("window", "16")),
    Mutation("model.width", words=("model.width=32",), fits=False),
    Mutation("model.dropout", edit=edited("dropout", "0.35")),
    Mutation("model.decoder_layers", words=("model.decoder_layers=3",), fits=False),
    Mutation("search.beams", words=("search.beams=3",)),
    Mutation("save.every", words=("save.every=2",)),
    Mutation("threads", before=other_threads),
    Mutation("cpu", before=other_capability),
    Mutation("torch", before=other_torch),
    Mutation("data.train", before=partial(other_records, fewer, "train")),
    Mutation("data.train", before=partial(other_records, renamed, "train")),
    Mutation("data.train", before=partial(other_records, turned, "train")),
    Mutation("data.dev", before=partial(other_records, renamed, "dev")),
    Mutation("vocabulary", edit=other_vocabulary),
)


def drifts(trial: Trial) -> None:
    """R14: killed in the middle, something changes, refused; forced, it goes on where it can."""
    mutation = MUTATIONS[trial.number % len(MUTATIONS)]
    ordeal = replace(ordeal_of(trial), model="transformer", task="roman" if mutation.edit else ordeal_of(trial).task)
    folder = trial.place / "run"
    point = next(one for one in POINTS if one.name == "between backward and the update")
    train(ordeal, folder, before=partial(kill_at, point, 5)).wait()
    hold((RunFolder(folder).last / "manifest.json").is_file(), f"{ordeal}: nothing was saved before it was killed")
    if mutation.edit is not None:
        mutation.edit(folder)
    words = mutation.words
    life = resumed(trial, ordeal, folder, mutation, words)
    said = life.said.read_text()
    error = said.splitlines()[-1]
    hold(life.code == 2, f"{mutation.field}: a resume ended with {life.code}: {error}")
    found = re.search(rf"[ ;]{re.escape(mutation.field)}: (.+?) -> (.+?);.* all the same: --force (\S+)", error)
    hold(found is not None and found[1] != found[2], f"{mutation.field}: it said: {error}")
    assert found is not None
    hold("Traceback" not in said, f"{mutation.field}: a traceback: {error}")
    trial.count("changes refused")
    life = resumed(trial, ordeal, folder, mutation, (*words, f"--force={found[3]}"))
    said = life.said.read_text()
    if mutation.fits:
        hold(life.code == 0, f"{mutation.field}, forced: ended with {life.code}: {said.splitlines()[-1]}")
        hold(f"warning: {mutation.field}: {found[1]} -> {found[2]}, as forced" in said, f"{mutation.field}: no warning")
        forced = json.loads((RunFolder(folder).last / "trainer.json").read_text())["environment"]["forced"]
        hold(
            [one for one in forced if one["field"] == mutation.field], f"{mutation.field}: the checkpoint does not tell"
        )
        trial.count("changes forced")
    else:
        hold(
            life.code in (2, 3) and "Traceback" not in said, f"{mutation.field}, forced: ended with {life.code}: {said}"
        )
        trial.count("changes that do not fit, forced: refused with the reason")


@dataclass(frozen=True, slots=True)
class Ended:
    """A training that is over."""

    code: int
    said: Path


def resumed(trial: Trial, ordeal: Ordeal, folder: Path, mutation: Mutation, words: tuple[str, ...]) -> Ended:
    """Go on, with the mutation; without CONFIG, so that what was edited is not compared with it."""
    task, _ = case_of(ordeal.task)
    said = trial.place / f"said {len(list(trial.place.glob('said*')))}"

    def verb() -> int:
        changed, _ = ordeals.case_of(task.name)
        return ordeals.dispatch("train", lambda: changed, task.name, ["--run", str(folder), "--resume", *words])

    return Ended(ordeals.forked(verb, said, mutation.before).wait(), said)


def two_at_once(trial: Trial) -> None:
    """R19: begun together, in a new folder or in one that a kill left behind."""
    ordeal = ordeal_of(trial)
    folder = trial.place / "run"
    if trial.number % 2:
        point = next(one for one in POINTS if one.name == "within an evaluation")
        train(ordeal, folder, before=partial(kill_at, point, 0)).wait()
        hold(folder.exists(), f"{ordeal}: was not begun")
    lives = [train(ordeal, folder, said=trial.place / f"said {one}") for one in range(2)]
    codes = [life.wait() for life in lives]
    trial.count("pairs of trainers")
    hold(0 in codes, f"{ordeal}: ended with {codes}: {' / '.join(map(Life.words, lives))}")
    loser = lives[1 - codes.index(0)]
    words = loser.said.read_text()
    match codes[1 - codes.index(0)]:
        case 2:
            winner = lives[codes.index(0)].process
            told = f"process {winner} is training there" in words or "another run has begun there" in words
            hold(told or "not empty" in words, f"{ordeal}: the other said: {words}")
            trial.count("the other was told who trains there" if f"process {winner}" in words else "the other was told")
        case 0:
            hold("is finished" in words or "finished" in lives[0].said.read_text(), f"{ordeal}: both trained: {words}")
            trial.count("the other found it finished")
        case code:
            hold(False, f"{ordeal}: the other ended with {code}: {words}")
    must_end_alike(trial, ordeal, folder, "two at once")


ROWS = (
    Row(
        "R14",
        threat="a resume after vocabulary, data, model, seed, threads, instruction set or version have changed",
        promise="It is refused with field, old and new value; `--force FIELD` goes on, says so, and the checkpoint tells.",
        trial=drifts,
        unit="changes refused",
        goal=25,
        full=2 * len(MUTATIONS),
        quick=2,
        seconds=5.0,
        warm=ready,
    ),
    Row(
        "R19",
        threat="two trainers that begin in one folder at once",
        promise="One trains; the other ends with exit code 2 and says which process it is; the run is what it would have been.",
        trial=two_at_once,
        unit="pairs of trainers",
        goal=50,
        full=50,
        quick=1,
        seconds=5.0,
        warm=ready,
    ),
)
