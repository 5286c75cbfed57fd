"""The [data] and [batch] tables."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from core.config import AtLeast0, AtLeast1, Bounds, Impossible, Share, config
from core.patterns import slow

MAIN = "main"
"""What `data.source` is called beside the sources of `data.mix`."""


@config
class MixedSource:
    """A further source of training records."""

    name: str
    """Begins the keys of its records."""
    source: str = "jsonl"
    """As `data.source`."""
    path: tuple[str, ...] = ()
    """As `data.path`."""
    train: str = ""
    """As `data.train`."""
    limit: AtLeast0 = 0
    """As `data.limit`, which is that of `data.source` alone."""
    tag: str = ""
    """Put before each source, with a space, so that the model can tell where it is from; for sources that are text."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name == MAIN:
            raise Impossible("name", f"a source needs a name of its own, without a slash, and {MAIN!r} is data.source")


@config
class DataConfig:
    """Where records come from."""

    source: str = "builtin"
    """`builtin` (the task's first), another of the task's sources by name, or your own data: `jsonl`, `files`, `hf`."""
    path: tuple[str, ...] = ()
    """Folder(s) or file(s) of your own data; for `hf` a dataset id or a local parquet/arrow file or folder."""
    train: str = ""
    """A single file instead of the folder's train file."""
    dev: str = ""
    """A single file instead of the folder's dev file."""
    test: str = ""
    """A single file instead of the folder's test file."""
    bad: Literal["stop", "skip", "quarantine"] = "stop"
    """A record that cannot be read ends the run (exit 3), is left out, or is left out and written to RUN/quarantine.jsonl."""
    holdout: Share = 0.05
    """Part of train, chosen by a hash of the key, that serves as dev where there is no dev file."""
    holdout_source: str = ""
    """A regular expression: where there is no dev file, the training records in whose source it is found serve as dev, so that dev
    asks for what training never shows (a known word in new company, say). In place of `holdout`. Signs and classes, repeated or
    not, with | between alternatives."""
    holdout_target: str = ""
    """The same of targets. Of these three, all that are given have to be true of a record."""
    holdout_longer: AtLeast0 = 0
    """The same of records whose targets have more than so many words, with spaces between them; 0: of none."""
    limit: AtLeast0 = 0
    """Use at most so many training records; 0 uses all."""
    long: Literal["drop", "truncate", "stop"] = "drop"
    """What becomes of a training record longer than `batch.longest`; counted and said."""
    cache: str = ""
    """Where downloads are kept; empty: the user's cache folder."""
    shards: AtLeast1 = 1
    """So many processes share the training records, each reading a part of its own."""
    shard: AtLeast0 = 0
    """Which part this process reads: 0 to `shards` - 1."""
    column_source: str = "source"
    """`hf`: the column read as source (dots descend: `translation.en`)."""
    column_target: str = "target"
    """`hf`: the column read as target."""
    name: str = ""
    """`hf`: the dataset's configuration name."""
    streaming: bool = False
    """`hf`: read without downloading everything first."""
    mix: tuple[MixedSource, ...] = ()
    """Further sources of training records, each `{name = ..., source = ..., path = [...], tag = ...}`; dev and test stay those of
    `data.source`."""
    temperature: Annotated[float, Bounds(low=1)] = 1.0
    """With `mix`: a source of n records is drawn in proportion to n^(1/temperature); 1: all records alike, larger: small sources more."""

    @property
    def holding_out(self) -> str:
        """The first key that says by what a record is held out, in place of a hash; empty where none does."""
        return next((key for key in ("holdout_source", "holdout_target", "holdout_longer") if getattr(self, key)), "")

    def __post_init__(self) -> None:
        for key in ("holdout_source", "holdout_target"):
            pattern: str = getattr(self, key)
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise Impossible(key, f"no regular expression: {error}") from None
            if pattern and (reason := slow(pattern)):
                raise Impossible(key, reason)
        names = [one.name for one in self.mix]
        if again := next((name for at, name in enumerate(names) if name in names[:at]), ""):
            raise Impossible("mix", f"two sources are called {again!r}")
        if self.temperature != 1 and not self.mix:
            raise Impossible("temperature", "there is one source: name others in data.mix")
        if self.shard >= self.shards:
            raise Impossible("shard", f"{self.shard} is not below data.shards = {self.shards}")


@config
class BatchConfig:
    """How records are put together."""

    tokens: AtLeast1 | Literal["auto"] = 4096
    """Budget of a batch: the longer of source and target, pads included, times the number of sentences. `auto`: as much as there is
    memory for, found before the first step and written into the run's config as a number. docs/scaling.md."""
    most: AtLeast0 = 0
    """At most so many records in a batch; 0: only the budget counts."""
    longest: AtLeast1 = 512
    """Longest source or target, in tokens (frames for audio)."""
    window: AtLeast1 = 8192
    """So many shuffled records are sorted by length at a time: larger pads less, smaller mixes more."""
    easy_first: AtLeast0 = 0
    """So many first epochs go window by window from short records to long ones (a curriculum; Bengio et al., 2009)."""
    workers: AtLeast0 = 0
    """Threads that prepare batches ahead; 0 prepares them in the loop. The order is the same."""

    @property
    def budget(self) -> int:
        """`tokens`, once it is a number."""
        if isinstance(self.tokens, str):
            raise ValueError(f"batch.tokens = {self.tokens!r} becomes a number before batches are made")
        return self.tokens
