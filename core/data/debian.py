"""Debian's package descriptions and packages, through apt-get, as an ordinary user: the system's own lists stay untouched.

Lists are read once into a folder of the cache, one folder for each set of languages, and then stay as they are: the
same words each time. Only the release itself is read, not its updates, so that the words change with point releases
alone. apt-get checks all signatures; the digest of what was read is kept beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.data.cache import cache_folder
from core.data.config import DataConfig
from core.data.wheel import digest
from core.errors import DataError
from core.nearest import did_you_mean

ORIGINS = ("Debian", "Ubuntu")
LATER = ("-security", "-updates", "-backports", "-proposed", "-proposed-updates")
ELSEWHERE = "use a source that needs no apt-get (`data.source`)"
FIELD = re.compile(rb"^([A-Za-z0-9_-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
QUIET = (  # system hooks (package kits, clean-ups) are meant for the system's own lists
    "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
)


@dataclass(frozen=True, slots=True)
class Description:
    """What a package is, in one language."""

    package: str
    source_package: str
    """What it was built from: its siblings' descriptions share sentences."""
    md5: str
    """Of the English description; equal for all translations of it."""
    language: str
    synopsis: str
    paragraphs: tuple[str, ...]
    """Without line breaks, but before verbatim lines (lists, tables), which begin with a space."""


@dataclass(frozen=True, slots=True)
class Lists:
    """A folder of apt's indexes, and what they are."""

    folder: Path
    languages: tuple[str, ...]
    release: str
    """As the distribution names it: "Debian 12.15 bookworm"."""
    date: str
    sha256: str
    """Over the names and digests of all index files that descriptions are read from."""

    @property
    def apt(self) -> Path:
        """What apt-get calls its lists."""
        return self.folder / "lists"


def debian_lists(languages: Sequence[str], data: DataConfig) -> Lists:
    """The indexes with these languages (codes as apt has them: `en`, `de`, `pt_BR`), read now if they never were."""
    wanted = tuple(dict.fromkeys(("en", *languages)))
    folder = cache_folder(data) / "debian" / ("lists-" + "-".join((wanted[0], *sorted(wanted[1:]))))
    found = stored_lists(folder, wanted)
    if found is None:
        read_now(folder, wanted)
        found = stored_lists(folder, wanted)
        if found is None:
            raise DataError(f"{folder}: Debian's package lists are not whole; remove this folder, or {ELSEWHERE}")
        print(f"  {found.release} of {found.date}, sha256 {found.sha256}", file=sys.stderr)
        print(
            "  package descriptions by Debian's maintainers and translators, each under the licence of its package",
            file=sys.stderr,
        )
    return found


def package_descriptions(languages: Sequence[str], data: DataConfig) -> Iterator[Description]:
    """All descriptions in these languages, in the order of the indexes; a package of several versions has each once."""
    lists = debian_lists(languages, data)
    origin: dict[tuple[str, str], str] = {}
    for path in indexes(lists.apt, "_Packages"):
        for fields in stanzas(path):
            package, md5 = text(fields, b"Package"), text(fields, b"Description-md5")
            origin.setdefault((package, md5), text(fields, b"Source").partition(" ")[0] or package)
    for language in dict.fromkeys(languages):
        field, seen = f"Description-{language}".encode(), set[tuple[str, str]]()
        for path in indexes(lists.apt, f"_Translation-{language}"):
            for fields in stanzas(path):
                key = package, md5 = text(fields, b"Package"), text(fields, b"Description-md5")
                if field in fields and key in origin and key not in seen:
                    seen.add(key)
                    synopsis, _, body = text(fields, field).partition("\n")
                    yield Description(package, origin[key], md5, language, synopsis.strip(), paragraphs(body))


def debian_package(name: str, data: DataConfig) -> Path:
    """The .deb file of a package in the cache, downloaded if it is not there, of the digest that the lists name."""
    lists = debian_lists((), data)
    known = {text(fields, b"Package"): fields for path in indexes(lists.apt, "_Packages") for fields in stanzas(path)}
    if name not in known:
        raise DataError(f"{lists.release} has no package {name!r}{did_you_mean(name, known)}")
    version, sha256 = text(known[name], b"Version"), text(known[name], b"SHA256")
    folder = lists.folder.parent / "packages"
    path = folder / text(known[name], b"Filename").rpartition("/")[2]
    if path.exists():
        if digest(path) == sha256:
            return path
        print(f"{path} is damaged; downloading it again", file=sys.stderr)
    size = int(text(known[name], b"Size")) / 1e6
    print(f"{name} {version} of {lists.release}, {size:.1f} MB, into {folder}", file=sys.stderr)
    print(f"  licence and authors: usr/share/doc/{name}/copyright in the package", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as beside:
        apt_get(["download", f"{name}={version}"], lists.folder, Path(beside), f"the package {name}")
        brought = next(Path(beside).glob("*.deb"), None)
        if brought is None or digest(brought) != sha256:
            raise DataError(
                f"{name} {version}: what apt-get brought is not what {lists.folder} names; nothing was kept"
            )
        print(f"  sha256 {sha256}, as the lists name it", file=sys.stderr)
        brought.replace(path)
    return path


def members(deb: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """The files of a package whose name (`usr/share/...`) is wanted, in its order; links are left out."""
    tool = shutil.which("dpkg-deb")
    if tool is None:
        raise DataError(f"{deb}: reading it needs dpkg-deb, which this system does not have; {ELSEWHERE}")
    with subprocess.Popen(
        [tool, "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isreg() and wanted(name) and (file := archive.extractfile(member)) is not None:
                        yield name, file.read()
            process.stdout.read()  # what pads the archive
            if process.wait():  # it may have broken off between two files
                raise EOFError("it breaks off")
        except (tarfile.TarError, EOFError) as error:
            process.kill()
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise DataError(f"{deb}: damaged package ({said[-1] if said else error})") from None
        finally:
            process.kill()  # a reader may stop before the end


def read_now(folder: Path, languages: tuple[str, ...]) -> None:
    """`apt-get update` beside the folder, which then takes its place, whole."""
    print(f"Debian's package lists ({', '.join(languages)}), about 20 MB to download, into {folder}", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lists-", dir=folder.parent) as made:
        beside = Path(made) / "whole"
        (beside / "lists" / "partial").mkdir(parents=True)
        (beside / "archives" / "partial").mkdir(parents=True)
        settings = (f"Acquire::Languages={','.join(languages)}", "Acquire::GzipIndexes=false")
        apt_get(["update"], beside, Path(made), "the package lists", *settings)
        release, date = release_of(beside / "lists")
        files = {path.name: digest(path) for path in used_indexes(beside / "lists", languages)}
        missing = [code for code in languages if not indexes(beside / "lists", f"_Translation-{code}")]
        if missing:
            raise DataError(f"{release} has no package descriptions in {', '.join(missing)}; {ELSEWHERE}")
        tree = {"release": release, "date": date, "languages": languages, "files": files}
        (beside / "lists.json").write_text(json.dumps(tree, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would not be read now
        try:
            beside.replace(folder)
        except OSError:
            if not (folder / "lists.json").exists():  # else another process brought it meanwhile
                raise


def stored_lists(folder: Path, languages: tuple[str, ...]) -> Lists | None:
    """What stands in the folder; None if that is not what was once put there."""
    try:
        tree: dict[str, Any] = json.loads((folder / "lists.json").read_text())
        files: dict[str, str] = tree["files"]
        if {path.name: digest(path) for path in used_indexes(folder / "lists", languages)} != files:
            print(f"{folder} is damaged; reading it again", file=sys.stderr)
            return None
        whole = hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()
        return Lists(folder, languages, str(tree["release"]), str(tree["date"]), whole)
    except (OSError, ValueError, KeyError):
        return None


def apt_get(verb: Sequence[str], lists: Path, where: Path, what: str, *settings: str) -> None:
    """Runs apt-get on private folders, under the system's own sources and keys."""
    tool = shutil.which("apt-get")
    if tool is None:
        raise DataError(f"{what}: this system has no apt-get; {ELSEWHERE}")
    watched = sys.stderr.isatty()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(QUIET)
        conf.flush()
        os.chmod(conf.name, 0o644)  # apt-get may leave the rights of root behind
        private = (
            *(f"Dir::State::lists={lists / 'lists'}", f"Dir::Cache={lists}", "Acquire::Retries=2"),
            *("Acquire::IndexTargets::deb-src::Sources::DefaultEnabled=false", *settings),
        )
        options = [part for setting in private for part in ("-o", setting)]
        done = subprocess.run(
            [tool, "-c", conf.name, *(() if watched else ("-qq",)), *options, *verb],
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if watched else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    brought = verb[0] != "update" or indexes(lists / "lists", "_Packages")
    if done.returncode or not brought:  # a third party's broken list alone is no failure
        said = [line for line in done.stderr.splitlines() if line[:2] in ("E:", "W:")]
        reason = next((line for line in said if line.startswith("E:")), said[-1] if said else "it brought nothing")
        reason = reason[2:].strip() if reason[:2] in ("E:", "W:") else reason
        stale = f"; if {lists} is old, remove it" if verb[0] == "download" else ""
        raise DataError(f"{what}: apt-get {verb[0]} failed ({reason}){stale}; {ELSEWHERE}")


def used_indexes(folder: Path, languages: Sequence[str]) -> list[Path]:
    """All that descriptions come from."""
    return [
        path for end in ("_Packages", *(f"_Translation-{code}" for code in languages)) for path in indexes(folder, end)
    ]


def indexes(folder: Path, ending: str) -> list[Path]:
    """The distribution's own indexes of a kind; a release's updates are left out."""
    kept = [path.name.removesuffix("InRelease").removesuffix("Release") for path in releases(folder)]
    return sorted(path for path in folder.glob(f"*{ending}") if any(path.name.startswith(prefix) for prefix in kept))


def releases(folder: Path) -> list[Path]:
    """The release files of the distribution itself."""
    found: list[Path] = []
    for path in sorted((*folder.glob("*_InRelease"), *folder.glob("*_Release"))):
        said = release_fields(path)
        if said.get("Origin") in ORIGINS and not said.get("Suite", "").endswith(LATER) and not is_later(path):
            found.append(path)
    return found


def is_later(path: Path) -> bool:
    """The same by its address, where the suite (oldstable-security) was renamed."""
    return unquote(path.name).removesuffix("_InRelease").removesuffix("_Release").endswith(LATER)


def release_of(folder: Path) -> tuple[str, str]:
    """Name and date of the release."""
    found = [release_fields(path) for path in releases(folder)]
    if not found:
        raise DataError(f"apt-get brought lists of neither {' nor '.join(ORIGINS)}; {ELSEWHERE}")
    name = " ".join(filter(None, (found[0].get(key, "") for key in ("Origin", "Version", "Codename"))))
    return name, found[0].get("Date", "an unknown date")


def release_fields(path: Path) -> dict[str, str]:
    """The single-line fields at the top of a release file."""
    pairs = (line.split(": ", 1) for line in path.read_text(errors="replace").splitlines()[:40] if ": " in line)
    return {name: value.strip() for name, value in pairs}


def stanzas(path: Path) -> Iterator[dict[bytes, bytes]]:
    """The paragraphs of an index, as fields."""
    for stanza in path.read_bytes().split(b"\n\n"):
        if stanza.strip():
            yield dict(FIELD.findall(stanza))


def text(fields: dict[bytes, bytes], name: bytes) -> str:
    """A field decoded; empty if there is none."""
    return fields.get(name, b"").decode("utf-8", "replace")


def paragraphs(body: str) -> tuple[str, ...]:
    """Debian policy 5.6.13: " ." parts paragraphs, one space begins a line that is wrapped, two a verbatim one."""
    found: list[str] = []
    here, verbatim = "", False
    for line in (*body.split("\n"), " ."):
        if line.strip() == ".":
            if here:
                found.append(here)
            here = ""
        elif line.strip():
            before, verbatim = verbatim, line.startswith("  ")
            between = "" if not here else "\n" if before or verbatim else " "
            here += between + (line[1:].rstrip() if verbatim else line.strip())
    return tuple(found)
