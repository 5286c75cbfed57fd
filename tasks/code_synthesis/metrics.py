"""Exact match in canonical form, pass@k and execution in the jail or in a database, BLEU on code tokens, validity."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from core.errors import MetricSkipped
from core.metrics.exact import ExactMatch
from core.metrics.sacre import SacreMetric, library
from core.record import Prediction
from core.task import Metric
from tasks.code_synthesis.canonical import canonical
from tasks.code_synthesis.codec import CUT
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.running import run_tests, tests_of
from tasks.code_synthesis.sql import Database


def metrics(cfg: CodeConfig) -> Sequence[Metric]:
    """Exact match picks checkpoints: it can be computed everywhere."""
    found: list[Metric] = [ExactMatch(1, None if cfg.language == "none" else canonical(cfg), form_name(cfg))]
    match cfg.language:
        case "python":
            found.extend(PassAt(cfg, k) for k in cfg.pass_at)
            found.append(ExecutionAccuracy(cfg))
        case "sql":
            found.extend([SameResult(cfg)] if cfg.database else [])
        case _:
            pass
    found.append(CodeBleu(library().BLEU(tokenize="none", force=True)))
    if cfg.language in ("python", "python-line", "regex"):
        found.append(Validity(cfg))
    return found


def form_name(cfg: CodeConfig) -> str:
    """For the signature. `ast.unparse` and the grammar differ between versions of Python."""
    version = ".".join(platform.python_version_tuple()[:2])
    match cfg.language:
        case "python" | "python-line":
            return f"ast.unparse-{cfg.language}-{version}"
        case "sql":
            return "keywords-and-spaces"
        case "regex":
            return "minimal-dfa"
        case "none":
            return ""


@dataclass(frozen=True, slots=True)
class PassAt:
    """Percent of records that some of k answers solve: all tests of a record pass. Records without tests do not count."""

    cfg: CodeConfig
    k: int = 1

    @property
    def name(self) -> str:
        return f"pass@{self.k}"

    @property
    def signature(self) -> str:
        how = "unbiased" if self.cfg.attempts == "samples" else "first-k"
        limits = f"seconds:{self.cfg.seconds:g}|mib:{self.cfg.memory}"
        version = ".".join(platform.python_version_tuple()[:2])
        return f"pass|k:{self.k}|of:{how}|{limits}|python:{version}|percent|v:1"

    @property
    def higher_is_better(self) -> bool:
        return True

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """(solved, counted) a record."""
        solved = solutions(self.cfg, predictions, None if self.cfg.attempts == "samples" else self.k)
        rows: list[tuple[float, float]] = []
        for each in solved:
            if each is None:
                rows.append((0.0, 0.0))
            elif self.cfg.attempts == "ranked":
                rows.append((float(any(all(verdict) for verdict in each)), 1.0))
            else:
                if len(each) < self.k:
                    raise MetricSkipped(f"{len(each)} samples; search.n_best must be {self.k} or more")
                rows.append((pass_at(len(each), sum(map(all, each)), self.k), 1.0))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return share(rows)


@dataclass(frozen=True, slots=True)
class ExecutionAccuracy:
    """Execution accuracy: percent of single tests that the first answer passes, a record's tests weighing one together."""

    cfg: CodeConfig
    name: str = "execution"
    higher_is_better: bool = True

    @property
    def signature(self) -> str:
        return (
            PassAt(self.cfg)
            .signature.replace("pass|k:1|of:first-k", "tests-passed")
            .replace("pass|k:1|of:unbiased", "tests-passed")
        )

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """(share passed, counted) a record."""
        rows = [
            (0.0, 0.0) if each is None else (float(np.mean(each[0])) if each else 0.0, 1.0)
            for each in solutions(self.cfg, predictions, 1)
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return share(rows)


def share(rows: np.ndarray) -> float:
    """Percent of what counts; not a number where nothing does."""
    counted = rows[:, 1].sum() if len(rows) else 0.0
    return float(100 * rows[:, 0].sum() / counted) if counted else float("nan")


def pass_at(n: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of n samples hold a correct one (Chen et al. 2021)."""
    return 1.0 - comb(n - correct, k) / comb(n, k)


def solutions(
    cfg: CodeConfig, predictions: Sequence[Prediction], most: int | None
) -> list[list[tuple[bool, ...]] | None]:
    """The verdicts of each record's first answers; None for a record without tests."""
    from core.jail import NoJail

    tests = [tests_of(prediction.record, "tests") for prediction in predictions]
    if predictions and not any(tests):
        raise MetricSkipped("no record has tests (meta.tests)")
    asked = [
        (answer.output, own)
        for prediction, own in zip(predictions, tests, strict=True)
        if own
        for answer in prediction.hypotheses[:most]
    ]
    try:
        verdicts = iter(run_tests(cfg, asked))
    except NoJail as error:
        raise MetricSkipped(str(error)) from None
    return [
        [next(verdicts) for _ in prediction.hypotheses[:most]] if own else None
        for prediction, own in zip(predictions, tests, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class SameResult:
    """Execution accuracy of queries: percent whose rows are those of the reference, as a multiset."""

    cfg: CodeConfig
    name: str = "execution"
    higher_is_better: bool = True

    @property
    def signature(self) -> str:
        data = Database(self.cfg.database, self.cfg.seconds)
        return f"same-rows|sqlite:{data.version}|data:{data.digest}|seconds:{self.cfg.seconds:g}|order:no|percent|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """(same, counted) a record; a reference that does not run itself does not count."""
        with Database(self.cfg.database, self.cfg.seconds) as data:
            rows: list[tuple[float, float]] = []
            for prediction in predictions:
                wanted = [found for one in prediction.record.references if (found := data.result(str(one))) is not None]
                found = data.result(prediction.output) if wanted else None
                rows.append((float(found is not None and found in wanted), float(bool(wanted))))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return share(rows)


@dataclass(frozen=True, slots=True)
class CodeBleu:
    """BLEU of sacreBLEU over the tokens of this task, which the tokenizer cuts from canonical or raw code alike."""

    scorer: object
    name: str = "bleu"
    higher_is_better: bool = True

    @property
    def inner(self) -> SacreMetric:
        """sacreBLEU's, which is given tokens with spaces between."""
        return SacreMetric("bleu", self.scorer, higher_is_better=True, width=10)

    @property
    def signature(self) -> str:
        return self.inner.signature.replace("tok:none", "tok:code-cut.1")

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """N-gram counts and lengths."""
        return self.inner.statistics([tokenised(prediction) for prediction in predictions])

    def score(self, rows: np.ndarray) -> float:
        """In percent."""
        return self.inner.score(rows)


def tokenised(prediction: Prediction) -> Prediction:
    """The best answer and the references, token by token."""
    from dataclasses import replace

    record = prediction.record
    first, *others = (spaced(str(one)) for one in record.references)
    meta = {**record.meta, "references": tuple(others)}
    best = tuple(replace(one, output=spaced(one.output)) for one in prediction.hypotheses[:1])
    return Prediction(replace(record, target=first, meta=meta), best)


def spaced(code: str) -> str:
    """Tokens with single spaces between; an indent is a token, other white space is none."""
    tokens = ("⏎" + "·" * (len(one) - 1) if one[0] == "\n" else one.strip() for one in CUT.findall(code))
    return " ".join(token for token in tokens if token)


@dataclass(frozen=True, slots=True)
class Validity:
    """Percent of first answers that parse, the empty one not among them."""

    cfg: CodeConfig
    name: str = "validity"
    higher_is_better: bool = True

    @property
    def signature(self) -> str:
        return f"validity|{form_name(self.cfg)}|percent|v:1"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """1 or 0."""
        parses = canonical(self.cfg)
        good = [float(bool(one.output.strip()) and parses(one.output) is not None) for one in predictions]
        return np.array(good, dtype=np.float64).reshape(-1, 1)

    def score(self, rows: np.ndarray) -> float:
        """The mean, in percent."""
        return float(100 * rows.mean()) if len(rows) else float("nan")
