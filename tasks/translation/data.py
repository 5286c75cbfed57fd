"""Sentence pairs: the texts of Home Assistant in sixty languages, and toy phrases for tests."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal
from zipfile import ZipFile

from core.codec.subword import SubwordKind
from core.config import Impossible, Share, config
from core.data.config import DataConfig
from core.data.split import split_of
from core.data.wheel import PinnedWheel
from core.errors import ConfigError
from core.nearest import did_you_mean
from core.record import SPLITS, Record, Split
from tasks.translation.phrases import phrases

HOMEASSISTANT = PinnedWheel(
    name="homeassistant",
    version="2026.2.3",
    file="homeassistant-2026.2.3-py3-none-any.whl",
    sha256="8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c",
    megabytes=51,
    python="3.14",  # the newest release asks for a newer Python than ours; it is read, not run
    licence="Apache-2.0",
    attribution="texts by the Home Assistant authors and their translators",
)
FILE = re.compile(r"homeassistant/components/([^/]+)/translations/([^/]+)\.json")
PLACEHOLDER = re.compile(r"\{\w+\}")
LETTER = re.compile(r"[^\W\d_]")
MOST_WORDS = 60


@config
class TranslationConfig:
    """The [task] table."""

    source_language: str = "en"
    """A code as the data has it: `en`, `de`, `zh-Hans`, ...; for your own parallel files, their ending."""
    target_language: str = "de"
    vocabulary: int = 4000
    """Subwords in all, shared by both languages."""
    subwords: SubwordKind = "bpe"
    bpe_dropout: Share = 0.0
    """Training pairs are segmented anew each epoch, each merge passed over with this probability (Provilkov et al., 2020)."""
    bleu_tokens: Literal["auto", "13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"] = "auto"
    """sacreBLEU's tokeniser; `auto` follows the target language."""
    bleu_lowercase: bool = False
    ter: bool = True
    """Report the translation edit rate too."""
    bleu_tokenised: bool = False
    """Report BLEU in the older convention too: punctuation normalised, Moses tokens, lower case (as for Multi30k)."""

    def __post_init__(self) -> None:
        if self.source_language == self.target_language:
            raise Impossible("target_language", f"{self.target_language!r} is the source language too")
        if self.bpe_dropout and self.subwords != "bpe":
            raise Impossible("bpe_dropout", f"it needs subwords = 'bpe', not {self.subwords!r}")
        if not 400 <= self.vocabulary <= 65_000:
            raise Impossible("vocabulary", f"{self.vocabulary} is not between 400 and 65000")


@dataclass(frozen=True, slots=True)
class Pair:
    """One translated string."""

    component: str
    path: str
    source: str
    target: str


def toy_phrases(cfg: TranslationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """English to German, or the same pairs backwards."""
    match cfg.source_language, cfg.target_language:
        case "en", "de":
            return phrases(split)
        case "de", "en":
            return (replace(one, source=one.target, target=one.source) for one in phrases(split))
        case source, target:
            raise ConfigError(f'data.source = "phrases" has en-de and de-en, not {source}-{target}')


def homeassistant(cfg: TranslationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Split by component, since the strings of one are near-templates of each other."""
    return iter(homeassistant_splits(cfg.source_language, cfg.target_language, data.cache)[split])


@lru_cache(maxsize=2)
def homeassistant_splits(source: str, target: str, cache: str) -> dict[Split, tuple[Record, ...]]:
    """All three splits at once, since what is left of dev and test depends on train."""
    dropped: Counter[str] = Counter()
    with HOMEASSISTANT.open(DataConfig(cache=cache)) as wheel:
        pairs = list(read_pairs(wheel, source, target))
    return prepared_splits(f"homeassistant {source}-{target}", pairs, dropped)


def prepared_splits(name: str, pairs: Iterable[Pair], dropped: Counter[str]) -> dict[Split, tuple[Record, ...]]:
    """Cleaned, split by component, and what was left out said with its reasons."""
    found = sorted(pairs, key=lambda pair: SPLITS.index(split_of(pair.component)))
    splits = divide(list(clean(found, dropped)), dropped)  # train first: what it shares with the others stays in train
    kept = ", ".join(f"{len(splits[split]):,} {split}" for split in SPLITS)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
    print(f"{name}: {kept}; left out: {left_out}", file=sys.stderr)
    return splits


def read_pairs(wheel: ZipFile, source: str, target: str) -> Iterator[Pair]:
    """Strings that both languages have, component by component."""
    files: dict[str, dict[str, str]] = {}
    languages: set[str] = set()
    for name in wheel.namelist():
        if match := FILE.fullmatch(name):
            component, language = match.groups()
            languages.add(language)
            files.setdefault(component, {})[language] = name
    for key, language in (("source_language", source), ("target_language", target)):
        if language not in languages:
            hint, there = did_you_mean(language, languages), " ".join(sorted(languages))
            raise ConfigError(f"task.{key} = {language!r}: not in this data{hint}; it has {there}")
    for component, names in sorted(files.items()):
        if source in names and target in names:
            theirs = dict(strings(json.loads(wheel.read(names[target]))))
            for path, text in strings(json.loads(wheel.read(names[source]))):
                if path in theirs:
                    yield Pair(component, path, text, theirs[path])


def strings(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested tables, with the path of their keys."""
    if isinstance(tree, dict):
        for key, value in tree.items():  # pyright: ignore[reportUnknownVariableType]
            yield from strings(value, f"{path}.{key}" if path else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(tree, str):
        yield path, tree


def clean(pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    """White space made single; what teaches nothing is counted under its reason and left out."""
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        if reason := unfit(pair.source.strip(), pair.target.strip()):
            dropped[reason] += 1
            continue
        texts = " ".join(pair.source.split()), " ".join(pair.target.split())
        if texts in seen:
            dropped["repeated"] += 1
            continue
        seen.add(texts)
        yield Pair(pair.component, pair.path, *texts)


def unfit(source: str, target: str) -> str:
    """Why a pair is left out; empty for a good one."""
    for text in (source, target):
        if not LETTER.search(PLACEHOLDER.sub("", text)):
            return "without words"
        if "\n" in text:
            return "of several lines"
        if "[%key:" in text or "://" in text or re.search(r"</?[a-z]", text):
            return "with references, addresses or markup"
        if len(text.split()) > MOST_WORDS or len(text) > 8 * MOST_WORDS:
            return "long"
    if source == target:
        return "not translated"
    if sorted(PLACEHOLDER.findall(source)) != sorted(PLACEHOLDER.findall(target)):
        return "with other placeholders"
    return ""


def divide(pairs: list[Pair], dropped: Counter[str]) -> dict[Split, tuple[Record, ...]]:
    """Train keeps every translation of a string.

    Dev and test have each unseen string once, with its other translations as further references.
    """
    parts: dict[Split, list[Pair]] = {split: [] for split in SPLITS}
    for pair in pairs:
        parts[split_of(pair.component)].append(pair)
    splits: dict[Split, tuple[Record, ...]] = {"train": tuple(record(pair) for pair in parts["train"])}
    seen = {pair.source.casefold() for pair in parts["train"]}
    for split in SPLITS[1:]:
        translations: dict[str, list[Pair]] = {}
        for pair in parts[split]:
            if pair.source.casefold() in seen:
                dropped[f"in {split} whose source is in another split"] += 1
            else:
                translations.setdefault(pair.source, []).append(pair)
        splits[split] = tuple(record(first, *rest) for first, *rest in translations.values())
        seen.update(source.casefold() for source in translations)
    return splits


def record(pair: Pair, *others: Pair) -> Record:
    """Components are the groups whose records are not independent."""
    meta: dict[str, Any] = {"group": pair.component}
    if others:
        meta["references"] = tuple(other.target for other in others)
    return Record(f"{pair.component}/{pair.path}", pair.source, pair.target, meta)
