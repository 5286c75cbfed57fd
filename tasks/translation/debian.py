"""Sentence pairs out of Debian: translated package descriptions, and LibreOffice's help pages."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from html.parser import HTMLParser
from pathlib import PurePosixPath

from core.data.config import DataConfig
from core.data.debian import Description, debian_package, members, package_descriptions
from core.record import Record, Split
from tasks.translation.data import Pair, TranslationConfig, prepared_splits

NOT_TRANSLATED = "<trans>"
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-zäöüß])")
"""Before a capital, a digit's sentence is not ended: 'e.g. this' and 'No. 5' stay whole."""
HELP = "libreoffice-help-{}"
PARAGRAPH = re.compile(r"(?:par|hd)_id\w+")


def debian(cfg: TranslationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Split by source package, whose binary packages share sentences."""
    return iter(debian_splits(cfg.source_language, cfg.target_language, data.cache)[split])


@lru_cache(maxsize=2)
def debian_splits(source: str, target: str, cache: str) -> dict[Split, tuple[Record, ...]]:
    """All three splits at once."""
    dropped: Counter[str] = Counter()
    codes = (source.replace("-", "_"), target.replace("-", "_"))
    found = list(package_descriptions(codes, DataConfig(cache=cache)))
    return prepared_splits(f"debian {source}-{target}", description_pairs(found, *codes, dropped), dropped)


def description_pairs(found: list[Description], source: str, target: str, dropped: Counter[str]) -> Iterator[Pair]:
    """Synopses, and bodies sentence by sentence where both sides have as many."""
    theirs = {(one.package, one.md5): one for one in found if one.language == target}
    for one in found:
        other = theirs.get((one.package, one.md5)) if one.language == source else None
        if other is None:
            continue
        pair = partial(Pair, one.source_package)
        name = f"{one.package}/{one.md5[:8]}"
        yield pair(f"{name}/synopsis", one.synopsis, other.synopsis)
        if len(one.paragraphs) != len(other.paragraphs):
            dropped["bodies with other numbers of paragraphs"] += 1
            continue
        for number, (ours, others) in enumerate(zip(one.paragraphs, other.paragraphs, strict=True), start=1):
            if NOT_TRANSLATED in others or NOT_TRANSLATED in ours or "\n" in ours:
                continue
            left, right = SENTENCE_END.split(ours), SENTENCE_END.split(others)
            if len(left) != len(right):
                left, right = [ours], [others]
            for place, (text, answer) in enumerate(zip(left, right, strict=True), start=1):
                yield pair(f"{name}/{number}.{place}", text, answer)


def libreoffice(cfg: TranslationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Split by help page."""
    return iter(libreoffice_splits(cfg.source_language, cfg.target_language, data.cache)[split])


@lru_cache(maxsize=2)
def libreoffice_splits(source: str, target: str, cache: str) -> dict[Split, tuple[Record, ...]]:
    """All three splits at once."""
    dropped: Counter[str] = Counter()
    ours, theirs = (help_pages(language, DataConfig(cache=cache)) for language in (source, target))
    print("  help texts by the LibreOffice authors and translators, MPL-2.0", file=sys.stderr)
    return prepared_splits(f"libreoffice {source}-{target}", help_pairs(ours, theirs), dropped)


def help_pages(language: str, data: DataConfig) -> dict[str, dict[str, str]]:
    """Page -> paragraph id -> text."""
    code = {"en": "en-us"}.get(language.lower(), language.lower().replace("_", "-"))
    pages: dict[str, dict[str, str]] = {}
    for name, content in members(debian_package(HELP.format(code), data), lambda name: name.endswith(".html")):
        reading = Page()
        reading.feed(content.decode("utf-8", "replace"))
        page = PurePosixPath(name.partition("/text/")[2] or name)  # what comes before it names the language
        pages[str(page)] = reading.texts
    return pages


def help_pairs(ours: dict[str, dict[str, str]], theirs: dict[str, dict[str, str]]) -> Iterator[Pair]:
    """Paragraphs of one id on one page."""
    for page, texts in sorted(ours.items()):
        for key, text in texts.items():
            answer = theirs.get(page, {}).get(key)
            if answer is not None:
                yield Pair(page, key, text, answer)


class Page(HTMLParser):
    """The paragraphs and headings of a help page that have an id."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.open: tuple[str, str] | None = None
        """Tag and id of what is being read."""
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        key = dict(attrs).get("id") or ""
        if PARAGRAPH.fullmatch(key):
            self.open, self.parts = (tag, key), []

    def handle_endtag(self, tag: str) -> None:
        if self.open is not None and self.open[0] == tag:
            text = " ".join("".join(self.parts).split())
            self.texts.setdefault(self.open[1], text)
            self.open = None

    def handle_data(self, data: str) -> None:
        if self.open is not None:
            self.parts.append(data)
