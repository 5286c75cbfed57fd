"""TMX, the exchange format of translation memories: units of variants, each in a language."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from core.data.lines import BadLine
from core.errors import DataError
from core.record import Record
from tasks.translation.data import TranslationConfig

CHUNK = 1 << 16
LEFT_OUT = ("bpt", "ept", "it", "ph", "ut")
"""Native codes of formatting, which are no text; `hi` and `sub` are."""


@dataclass(slots=True)
class Unit:
    """One <tu>."""

    line: int
    key: str
    texts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Language and segment, in order."""


def read_tmx(cfg: TranslationConfig, path: Path) -> Iterator[Record]:
    """A record a unit; the target is None where the unit lacks that language."""

    def parse(unit: Unit) -> Record:
        source = in_language(unit, cfg.source_language)
        if source is None:
            there = ", ".join(language or "(none)" for language, _ in unit.texts) or "no variant at all"
            raise BadLine(f"{path}:{unit.line}", f"no {cfg.source_language!r} in this unit; there is {there}")
        place = f"{path}:{unit.line}"
        return Record(unit.key, source, in_language(unit, cfg.target_language), {"place": place})

    return map(parse, units(path))


def in_language(unit: Unit, language: str) -> str | None:
    """`en` is found in `en-GB` too, the exact code first."""
    wanted = language.lower().replace("_", "-")
    codes = [(code.lower().replace("_", "-"), text) for code, text in unit.texts]
    exact = next((text for code, text in codes if code == wanted), None)
    return exact if exact is not None else next((text for code, text in codes if code.startswith(wanted + "-")), None)


def units(path: Path) -> Iterator[Unit]:
    """One after the other, never the whole file in memory. Entities of its own a file may not declare."""
    parser = expat.ParserCreate()
    reading = Reading(parser, path)
    parser.StartElementHandler, parser.EndElementHandler = reading.start, reading.end
    parser.CharacterDataHandler = reading.text
    parser.EntityDeclHandler = reading.refuse_entity
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while data := file.read(CHUNK):
                parser.Parse(data)
                yield from reading.taken()
            parser.Parse(b"", True)
            yield from reading.taken()
    except expat.ExpatError as error:
        raise DataError(f"{path}:{error.lineno}: not XML: {expat.ErrorString(error.code)}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {error}") from None


class Reading:
    """What the parser has seen so far."""

    def __init__(self, parser: expat.XMLParserType, path: Path) -> None:
        self.parser, self.path = parser, path
        self.done: list[Unit] = []
        self.unit: Unit | None = None
        self.language = ""
        self.parts: list[str] | None = None
        """Of the segment that is open."""
        self.left_out = 0
        """How deep in formatting codes."""
        self.count = 0

    def taken(self) -> list[Unit]:
        """The units that are whole by now."""
        done, self.done = self.done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An opening tag."""
        if name == "tu":
            self.count += 1
            self.unit = Unit(self.parser.CurrentLineNumber, attributes.get("tuid") or str(self.count))
        elif name == "tuv":
            self.language = attributes.get("xml:lang") or attributes.get("lang") or ""
        elif name == "seg":
            self.parts, self.left_out = [], 0
        elif name in LEFT_OUT:
            self.left_out += 1

    def end(self, name: str) -> None:
        """A closing tag."""
        if name == "seg" and self.unit is not None and self.parts is not None:
            self.unit.texts.append((self.language, " ".join("".join(self.parts).split())))
            self.parts = None
        elif name == "tu" and self.unit is not None:
            self.done.append(self.unit)
            self.unit = None
        elif name in LEFT_OUT:
            self.left_out -= 1

    def text(self, data: str) -> None:
        """Between tags."""
        if self.parts is not None and not self.left_out:
            self.parts.append(data)

    def refuse_entity(self, name: str, *rest: object) -> None:
        """They can make a small file large."""
        raise DataError(f"{self.path}:{self.parser.CurrentLineNumber}: it declares the entity {name!r}; TMX needs none")
