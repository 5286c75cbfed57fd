"""Docstring -> body, read out of the source files of installed packages. Nothing is imported or run.

Reading takes two minutes; what was found is kept in the cache folder until a file changes. What there is depends on what is
installed, so results compare between machines only where the data's digest is the same. Hard: a third of the bodies need names
that training never shows.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import sys
import sysconfig
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.data.alike import of_text
from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.data.split import split_of
from core.errors import DataError
from core.record import SPLITS, Record, Split
from tasks.code_synthesis.canonical import canonical_python, parse
from tasks.code_synthesis.config import CodeConfig

PACKAGES = ("torch", "numpy", "sympy", "networkx", "mpmath", "jinja2", "fsspec", "filelock", "typing_extensions")
"""What comes with the engine, and Python's own library."""
SKIPPED = frozenset(
    ("site-packages", "dist-packages", "test", "tests", "testing", "_vendor", "idlelib", "lib2to3", "turtledemo")
)
LONGEST_BODY = 400
LONGEST_TEXT = 300
LARGEST_FILE = 1_000_000
SENTENCE = re.compile(r"(?<=[.!?])\s")


def docstrings(cfg: CodeConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Split by module, since functions of one resemble each other; what train has stays out of dev and test."""
    return iter(mined(cache_folder(data))[split])


@lru_cache(maxsize=1)
def mined(folder: Path) -> dict[Split, tuple[Record, ...]]:
    """All splits at once, from the folder where they were kept there and every file is as it was."""
    files = list(sources())
    if not files:
        raise DataError("no source files of installed packages found")
    path = folder / f"docstrings-{state_of(files)}.jsonl.gz"
    kept = stored(path)
    if kept is None:
        kept = read(files)
        keep(path, *kept)
    found, dropped = kept
    said = ", ".join(f"{len(found[split]):,} {split}" for split in SPLITS)
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
    print(f"docstrings: {said}; left out: {left_out}", file=sys.stderr)
    return found


def state_of(files: Sequence[tuple[str, Path]]) -> str:
    """Changes with any file, with Python (whose way of writing code it is) and with this module."""
    digest = blake2b(f"{sys.version} {LONGEST_BODY} {LONGEST_TEXT}".encode(), digest_size=8)
    for path in (Path(__file__), *(path for _, path in files)):
        facts = path.stat()
        digest.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def keep(path: Path, found: dict[Split, tuple[Record, ...]], dropped: Counter[str]) -> None:
    """Whole or not at all; a cache that cannot be written costs time only."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with gzip.open(beside, "wt", encoding="utf-8", compresslevel=3) as file:
            for split, records in found.items():
                for one in records:
                    file.write(json.dumps([split, one.key, one.source, one.target, one.meta["group"]]) + "\n")
            file.write(json.dumps(dropped) + "\n")
        beside.replace(path)
    except OSError as error:
        print(f"{path}: not kept ({error.strerror})", file=sys.stderr)
    finally:
        beside.unlink(missing_ok=True)


def stored(path: Path) -> tuple[dict[Split, tuple[Record, ...]], Counter[str]] | None:
    """What `keep` wrote; None where it is not there or not whole."""
    found: dict[Split, list[Record]] = {split: [] for split in SPLITS}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            *rows, dropped = map(json.loads, file)
        for split, key, source, target, group in rows:
            found[split].append(Record(key, source, target, {"group": group}))
        return {split: tuple(found[split]) for split in SPLITS}, Counter[str](dropped)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zlib.error):
        pass
    print(f"{path} is damaged; making it again", file=sys.stderr)
    return None


def read(files: Sequence[tuple[str, Path]]) -> tuple[dict[Split, tuple[Record, ...]], Counter[str]]:
    """Every file, with a bar; and what was left out, by reason."""
    from core.run.progress import progress_bar  # with torch

    dropped: Counter[str] = Counter()
    pairs: dict[Split, list[Record]] = {split: [] for split in SPLITS}
    with progress_bar(len(files), "reading packages") as advance:
        for name, path in files:
            pairs[split_of(name)].extend(functions(name, path, dropped))
            advance(1)
    found: dict[Split, tuple[Record, ...]] = {}
    seen: set[str | Sequence[str]] = set()
    """Bodies, and docstrings as `doctor` compares them: what an earlier split has is asked in no later one."""
    for split in SPLITS:  # train first
        kept: list[Record] = []
        own: set[tuple[str, str]] = set()
        for record in pairs[split]:
            said = of_text(record.source)
            if (record.source, record.target) in own or (
                split != "train" and not seen.isdisjoint((record.target, said))
            ):
                dropped["repeated"] += 1
                continue
            own.add((record.source, record.target))
            kept.append(record)
        seen.update(one for record in kept for one in (record.target, of_text(record.source)))
        found[split] = tuple(kept)
    return found, dropped


def sources() -> Iterator[tuple[str, Path]]:
    """(module, file) of Python's library and of the packages, in order of their names; licences are said."""
    library = Path(sysconfig.get_path("stdlib"))
    print(f"docstrings of Python {sysconfig.get_python_version()} (PSF licence)", file=sys.stderr)
    for path in sorted(library.rglob("*.py")):
        if not SKIPPED.intersection(path.relative_to(library).parts):
            yield "python/" + path.relative_to(library).as_posix(), path
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        print(f"docstrings of {package} {licence(package)}", file=sys.stderr)
        root = Path(spec.origin)
        if not spec.submodule_search_locations:
            yield f"{package}/{root.name}", root
            continue
        for path in sorted(root.parent.rglob("*.py")):
            if not SKIPPED.intersection(path.relative_to(root.parent).parts):
                yield f"{package}/{path.relative_to(root.parent).as_posix()}", path


def licence(package: str) -> str:
    """Version and licence as its metadata has them."""
    try:
        found: Any = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    named = found.get("License-Expression") or found.get("License") or ""
    classified = [one.split("::")[-1].strip() for one in found.get_all("Classifier") or [] if one.startswith("License")]
    text = named if named and len(named) < 60 else ", ".join(classified)
    return f"{found.get('Version', '')} ({text or 'licence: see the package'})"


def functions(name: str, path: Path, dropped: Counter[str]) -> Iterator[Record]:
    """The functions of a file that have a docstring and a short body."""
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= LARGEST_FILE else ""
    except (OSError, UnicodeDecodeError):
        dropped["in files that cannot be read"] += 1
        return
    tree = parse(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (says := ast.get_docstring(node)):
            source, target = request(node, says), body(node)
            if reason := unfit(source, target):
                dropped[reason] += 1
            else:
                yield Record(f"{name}:{node.lineno}", source, target, {"group": name})


def request(node: ast.FunctionDef | ast.AsyncFunctionDef, says: str) -> str:
    """Name and parameters, then the first sentence."""
    parameters = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    sentence = SENTENCE.split(" ".join(says.split("\n\n")[0].split()))[0]
    return f"{node.name}({', '.join(parameters)}): {sentence}"


def body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What stands below the docstring, in canonical form."""
    rest = ast.Module(node.body[1:], [])
    return canonical_python(ast.unparse(ast.fix_missing_locations(rest))) or ""


def unfit(source: str, target: str) -> str:
    """Why a pair is left out; empty for a good one."""
    if len(source.split()) < 4 or target in (
        "",
        "pass",
        "...",
        "raise NotImplementedError",
        "raise NotImplementedError()",
    ):
        return "with nothing in them"
    if len(target) > LONGEST_BODY or len(source) > LONGEST_TEXT:
        return "too long"
    if not (source.isascii() and target.isascii()):
        return "not in ASCII"
    if re.search(r"^\s*(match|case) ", target, re.MULTILINE):
        return "with match"
    return ""
