"""The [task] table."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast0, AtLeast1, Impossible, Positive, config

Language = Literal["python", "python-line", "sql", "regex", "none"]


@config
class CodeConfig:
    """What is written, how it is compared, and what of it is run."""

    language: Language = "python"
    """Decides the canonical form, equality and the decoding rule: `python` (programs), `python-line` (single lines; headers such as
    `if x:` stand alone), `sql`, `regex` (of NL-RX), or `none` (text as it is)."""
    normalise: bool = True
    """Rewrite Python targets in canonical form (`ast.unparse`), which is what the decoding rule writes."""
    rule: bool = True
    """Only outputs that parse (python, python-line)."""
    tokens: Literal["code", "words"] = "code"
    """`code`: words, signs and digits, cut as in program text; `words`: what stands between spaces is one token, for data that is cut
    into tokens already (SCAN, COGS, NL-RX). Not for Python, where white space means something."""
    vocabulary: AtLeast1 = 1500
    """At most so many pieces of text, shared by instructions and code."""
    split: Literal["program", "depth"] = "program"
    """The generated sources: hold out programs, or train on depth 1 and 2 and hold out depth 3."""
    programs: AtLeast1 = 40_000
    """The generated source: so many are drawn; repeated instructions and what dev and test have in excess are left out."""
    choose: bool = True
    """Where a record gives examples, the first candidate that agrees with them all is the answer (it needs a jail, and
    `search.n_best` above 1)."""
    pass_at: tuple[int, ...] = (1,)
    """The k of pass@k."""
    attempts: Literal["ranked", "samples"] = "ranked"
    """pass@k counts the first k answers, or takes all n as samples and estimates without bias (Chen et al. 2021)."""
    seconds: Positive = 5.0
    """Time limit of a generated program, all its tests together, and of a query."""
    memory: AtLeast1 = 512
    """Memory limit of a generated program, in MiB."""
    database: str = ""
    """sql: an SQLite file in which queries are run to compare their results."""
    states: AtLeast0 = 20_000
    """regex: give up comparing two automata after so many pairs of states, and count them as different."""

    def __post_init__(self) -> None:
        if not 300 <= self.vocabulary <= 65_000:
            raise Impossible("vocabulary", f"{self.vocabulary} is not between 300 and 65000")
        if not self.pass_at or min(self.pass_at) < 1 or len(set(self.pass_at)) < len(self.pass_at):
            raise Impossible("pass_at", f"{list(self.pass_at)}: different whole numbers from 1 on are right")
        if self.tokens == "words" and self.language in ("python", "python-line"):
            raise Impossible("tokens", f"words lose the white space that task.language = {self.language!r} is made of")
        if self.database and self.language != "sql":
            raise Impossible("database", f"only SQL is run in a database, and task.language is {self.language!r}")
