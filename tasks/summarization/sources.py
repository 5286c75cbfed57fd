"""Built-in data: Debian's package descriptions, and Ansible's module descriptions where there is no apt-get."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from core.data.config import DataConfig
from core.data.debian import package_descriptions
from core.data.wheel import PinnedWheel
from core.errors import ConfigError, DataError
from core.record import Record, Split
from tasks.summarization.pairs import Pair, Splits, split_pairs
from tasks.summarization.settings import SummarizationConfig

ANSIBLE = PinnedWheel(
    name="ansible",
    version="12.3.0",
    file="ansible-12.3.0-py3-none-any.whl",
    sha256="cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414",
    megabytes=54,
    python="3.12",
    licence="GPL-3.0-or-later",
    attribution="module documentation by the Ansible project and the authors of its collections",
)
MODULE = re.compile(r"ansible_collections/([^/]+/[^/]+)/plugins/modules/(.+)\.py")
DOCUMENTATION = re.compile(r"^DOCUMENTATION\s*=\s*[rbu]*(\"\"\"|''')(.*?)\1", re.MULTILINE | re.DOTALL)
FIELD = r"^{}:.*(?:\n(?:[ \t#-].*)?)*"
MARKUP = re.compile(r"\b(?:HORIZONTALLINE|([BCEIMOPRUV]|RV|L)\(([^()]*)\))")
VERSION = re.compile(r"[\d.]+")


def debian_or_ansible(cfg: SummarizationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """The default: it says which of the two it is. Their scores do not compare."""
    if shutil.which("apt-get"):
        say("data.source = builtin: package descriptions by apt-get (debian)")
        return debian(cfg, data, split)
    say("data.source = builtin: module descriptions (ansible), since this system has no apt-get for debian")
    return ansible(cfg, data, split)


@lru_cache(maxsize=8)
def say(line: str) -> None:
    """Once."""
    print(line, file=sys.stderr)


def debian(cfg: SummarizationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Descriptions -> synopses, split by source package."""
    try:
        return iter(debian_splits(data.cache, cfg.longest_body)[split])
    except DataError as error:
        raise DataError(f"{error}, such as data.source=ansible") from None


@lru_cache(maxsize=2)
def debian_splits(cache: str, longest: int) -> Splits:
    """Versions of one source (gcc-11, gcc-12) are one group."""
    pairs = (
        Pair(
            f"{one.package}/{one.md5[:8]}",
            VERSION.sub("", one.source_package) or one.source_package,
            "\n".join(one.paragraphs),
            one.synopsis,
        )
        for one in package_descriptions(("en",), DataConfig(cache=cache))
    )
    return split_pairs(pairs, longest=longest, dev=0.03, test=0.05, name="debian")


def ansible(cfg: SummarizationConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Descriptions -> short descriptions, split by collection."""
    return iter(ansible_splits(data.cache, cfg.longest_body)[split])


@lru_cache(maxsize=2)
def ansible_splits(cache: str, longest: int) -> Splits:
    """Modules of one collection are near-templates of each other."""
    return split_pairs(ansible_pairs(cache), longest=longest, dev=0.08, test=0.12, name="ansible")


def ansible_pairs(cache: str) -> Iterator[Pair]:
    """The documentation of all modules, read out of the wheel as text: nothing of it is imported or run."""
    yaml = yaml_library()
    with ANSIBLE.open(DataConfig(cache=cache)) as wheel:
        for name in sorted(wheel.namelist()):
            if not (module := MODULE.fullmatch(name)):
                continue
            found = DOCUMENTATION.search(wheel.read(name).decode("utf-8", "replace"))
            fields = found and [re.search(FIELD.format(key), found[2], re.MULTILINE) for key in KEYS]
            if not fields or None in fields:
                continue
            try:
                tree: dict[str, Any] = yaml.safe_load("\n".join(field[0] for field in fields if field))
            except yaml.YAMLError:  # a few are broken for Ansible as well
                continue
            summary, body = (plain(tree[key]) for key in KEYS)
            yield Pair(f"{module[1]}/{module[2]}", module[1], body, summary)


KEYS = ("short_description", "description")


def plain(value: Any) -> str:
    """Paragraphs as text, marks like M(module), C(code) and L(text, address) as what they show."""
    whole = "\n".join(str(part) for part in value) if isinstance(value, list) else str(value or "")
    return MARKUP.sub(lambda mark: shown(mark[1] or "", mark[2] or ""), whole)


def shown(mark: str, inside: str) -> str:
    """Links and references show their text, all else what stands in it."""
    return inside.rpartition(",")[0] or inside if mark in ("L", "R") else inside


def yaml_library() -> Any:
    """The library, or a plain message."""
    try:
        import yaml
    except ImportError:
        raise ConfigError("Ansible's documentation needs pyyaml: pip install 'transduce[summarization]'") from None
    return yaml
