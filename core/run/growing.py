"""`predict --stream --tokens`: an answer that is written while it is being found, as far as it is certain."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from core.errors import ConfigError, DataError
from core.record import Prediction, Record
from core.run.answering import Answerer
from core.run.inputs import arriving
from core.run.written import JSON, TEXT, as_json
from core.settings import RunConfig
from core.task import Format, Task


def growing(answer: Answerer, form: Format[Any], refused: list[str]) -> int:
    """Standard input, answered record by record and bit by bit."""
    refuse_where_nothing_grows(answer.task, answer.config, form)
    told = Growing(form)
    answer = replace(answer, heard=told)
    for record in arriving(answer.task, answer.config.task, refused):
        told.begin(record)
        (prediction,) = answer([record], lambda done: None)
        told.end(prediction)
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    return DataError.exit_code if refused else 0


def refuse_where_nothing_grows(task: Task[Any], config: RunConfig, form: Format[Any]) -> None:
    """An answer that is chosen among several is certain only when all are there."""
    search = config.search
    reason = None
    if form is not TEXT and form is not JSON:
        reason = "only --format text and jsonl can be written bit by bit"
    elif task.solve is not None:
        reason = f"an answer of {task.name} is put together from several searches"
    elif search.n_best > 1 or search.decide != "score" or search.rerank or search.strategy in ("sample", "stochastic"):
        reason = "the answer is chosen among several: greedy search, or a beam with n_best = 1 and decide = 'score', is right"
    if reason is not None:
        raise ConfigError(f"--tokens: {reason}")


class Growing:
    """The answers to a stream: text as what is new of it, JSON as lines with `partial` before the whole one."""

    def __init__(self, form: Format[Any]) -> None:
        self.lines = form is JSON
        self.sent, self.key = "", ""

    def begin(self, record: Record) -> None:
        """The next answer."""
        self.sent, self.key = "", record.key

    def __call__(self, text: str) -> None:
        """What is certain by now; what may still turn out otherwise (half a character) waits."""
        text = " ".join(text.splitlines()).rstrip("\N{REPLACEMENT CHARACTER}")
        if len(text) <= len(self.sent) or not text.startswith(self.sent):
            return
        if self.lines:
            self.write(json.dumps({"id": self.key, "partial": text}, ensure_ascii=False) + "\n")
        else:
            self.write(text[len(self.sent) :])
        self.sent = text

    def end(self, prediction: Prediction) -> None:
        """The rest of it."""
        (text,) = prediction.lines(1)
        if self.lines:
            self.write(as_json(prediction, 1) + "\n")
        elif text.startswith(self.sent):
            self.write(text[len(self.sent) :] + "\n")
        else:  # spelled otherwise as a whole than as its beginning
            self.write("\n" + text + "\n")

    def write(self, text: str) -> None:
        """At once."""
        sys.stdout.write(text)
        sys.stdout.flush()
