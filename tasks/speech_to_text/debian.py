"""Real recordings out of Debian's packages, split by text: a game, a drawing program and a telephone exchange."""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from core.data.config import DataConfig
from core.data.debian import debian_package, members
from core.data.split import split_of
from core.errors import BadRecord, ConfigError
from core.nearest import did_you_mean
from core.record import Record, Split
from tasks.speech_to_text.audio import read_sound
from tasks.speech_to_text.normaliser import basic
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.shelf import Filed, digest, records, shelf

RATE = 16_000
LEAST, MOST = 0.2, 30.0
"""Seconds; what is shorter or longer teaches little."""
SLOWEST, FASTEST = 1.0, 30.0
"""Letters a second between which a text can be what is said."""
UNSPOKEN = re.compile(r"[\[\]{}<>%*=_]")
DIALOG = re.compile(r'dialogId\("([^"]+)".*?\)\s*dialogStr\("((?:[^"\\]|\\.)*)"\)', re.DOTALL)


class Found(NamedTuple):
    """One file of a package with what is said in it."""

    key: str
    text: str
    sound: bytes
    ending: str


@dataclass(frozen=True, slots=True)
class Packages:
    """A source: which packages hold it, and how to read them."""

    name: str
    languages: tuple[str, ...]
    attribution: str
    read: Callable[[str, DataConfig], Iterator[Found]]


def fillets_found(language: str, data: DataConfig) -> Iterator[Found]:
    """Sounds of one package, dialogues of another, joined by level and name."""
    texts: dict[tuple[str, str], str] = {}
    dialogs = re.compile(rf".*/script/([^/]+)/dialogs_{language}\.lua")
    for name, content in members(debian_package("fillets-ng-data", data), lambda name: bool(dialogs.fullmatch(name))):
        level = name.split("/")[-2]
        for key, text in DIALOG.findall(content.decode("utf-8", "replace")):
            texts[level, key] = text.replace('\\"', '"').replace("\\n", " ")
    for name, content in members(
        debian_package(f"fillets-ng-data-{language}", data), lambda name: name.endswith(".ogg")
    ):
        level, _, file = name.split("/")[-3:]
        key = level, file.removesuffix(".ogg")
        if key in texts:
            yield Found("/".join(key), texts[key], content, ".ogg")


def tuxpaint_found(language: str, data: DataConfig) -> Iterator[Found]:
    """A stamp's name in many languages stands in its text file, read aloud in some."""
    mark = "_desc" if language == "en" else f"_desc_{language}"
    texts: dict[str, str] = {}
    sounds: dict[str, tuple[bytes, str]] = {}
    wanted = (".txt", f"{mark}.ogg", f"{mark}.wav")
    for name, content in members(debian_package("tuxpaint-stamps-default", data), lambda name: name.endswith(wanted)):
        stem, _, short = name.rpartition("/stamps/")[2].rpartition(".")
        if short != "txt":
            sounds[stem.removesuffix(mark)] = content, f".{short}"
            continue
        lines = content.decode("utf-8", "replace").splitlines()
        named = {line.partition(".utf8=")[0]: line.partition(".utf8=")[2] for line in lines if ".utf8=" in line}
        text = lines[0] if language == "en" and lines else named.get(language, "")
        if text.strip():
            texts[stem] = text.strip()
    for stem, (content, ending) in sorted(sounds.items()):
        if stem in texts:
            yield Found(stem, texts[stem], content, ending)


def asterisk_found(language: str, data: DataConfig) -> Iterator[Found]:
    """Prompts of one speaker; a list of what is said in each."""
    texts: dict[str, str] = {}
    listed = f"core-sounds-{language}.txt"
    texts_package = debian_package(f"asterisk-core-sounds-{language}", data)
    for _, content in members(texts_package, lambda name: name.endswith((listed, f"{listed}.gz"))):
        whole = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        for line in whole.decode("utf-8-sig", "replace").splitlines():
            key, colon, text = line.partition(":")
            if colon and not line.startswith(";"):
                texts[key.strip()] = text.strip()
    for name, content in members(
        debian_package(f"asterisk-core-sounds-{language}-wav", data), lambda name: name.endswith(".wav")
    ):
        key = name.rpartition("/sounds/")[2].partition("/")[2].removesuffix(".wav")
        if texts.get(key):
            yield Found(key, texts[key], content, ".wav")


FILLETS = Packages(
    "fillets", ("cs", "nl"), "Fish Fillets NG by ALTAR interactive and translators, GPL-2+; acted speech", fillets_found
)
TUXPAINT = Packages(
    "tuxpaint",
    ("es", "fr", "ru", "ro", "ca", "bg", "be", "el", "da", "lt", "nl", "en"),
    "Tux Paint stamps by their contributors, GPL-2; names of things read aloud",
    tuxpaint_found,
)
ASTERISK = Packages(
    "asterisk",
    ("en", "es", "fr", "it", "ru"),
    "Asterisk's prompts by Digium and one speaker a language, CC BY-SA 3.0; telephone quality",
    asterisk_found,
)


def of(packages: Packages) -> Callable[[SpeechConfig, DataConfig, Split], Iterator[Record]]:
    """The source that reads these packages."""

    def source(cfg: SpeechConfig, data: DataConfig, split: Split) -> Iterator[Record]:
        language = cfg.language or packages.languages[0]
        if language not in packages.languages:
            hint, there = did_you_mean(language, packages.languages), ", ".join(packages.languages)
            raise ConfigError(
                f"task.language = {language!r}: {packages.name} has no such language{hint}; it has {there}"
            )
        folder = shelf(f"{packages.name}-{language}", data, lambda folder: unpacked(packages, language, data, folder))
        return records(cfg, folder, split)

    return source


def unpacked(packages: Packages, language: str, data: DataConfig, folder: Path) -> Iterator[Filed]:
    """Files of the packages that can be heard, each once, in the split of its text; what is left out is counted."""
    print(f"{packages.name} {language}: {packages.attribution}", file=sys.stderr)
    dropped: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    seen: set[str] = set()
    seconds = 0.0
    for number, one in enumerate(packages.read(language, data)):
        plain = basic(one.text)
        if not plain or UNSPOKEN.search(one.text) or any(letter.isdecimal() for letter in plain):
            dropped["without words, or with signs or figures"] += 1
            continue
        file = f"{number:05d}{one.ending}"
        path = folder / file
        path.write_bytes(one.sound)
        sha256 = digest(path)
        reason, length = unfit(path, plain)
        if not reason and sha256 in seen:
            reason = "repeated"
        if reason:
            dropped[reason] += 1
            path.unlink()
            continue
        seen.add(sha256)
        split = split_of(plain, 0.08, 0.08)
        kept[split] += 1
        seconds += length
        yield Filed(one.key, file, one.text, "", split, length, sha256)
    counts = ", ".join(f"{count:,} {split}" for split, count in kept.items())
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
    print(f"  {counts}; {seconds / 60:.0f} minutes; left out: {left_out or 'nothing'}", file=sys.stderr)


def unfit(path: Path, text: str) -> tuple[str, float]:
    """Why a recording is left out (empty for a good one), and its seconds."""
    try:
        length = len(read_sound(path, RATE).samples) / RATE
    except BadRecord:
        return "without sound that can be read", 0.0
    if not LEAST <= length <= MOST:
        return "short or long", length
    if not SLOWEST <= len(text) / length <= FASTEST:
        return "whose text cannot be what is said", length
    return "", length
