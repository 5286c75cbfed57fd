"""Debian's descriptions and packages: read from what apt-get brings, here a script that brings made-up lists."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from core.data.config import DataConfig
from core.data.debian import (
    Description,
    debian_lists,
    debian_package,
    members,
    package_descriptions,
    paragraphs,
)
from core.errors import DataError

RELEASE = (
    "Origin: {origin}\nSuite: {suite}\nVersion: 9.7\nCodename: testy\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nMD5Sum:\n"
)
PACKAGES = """Package: lamp
Version: 1.0-2
Source: lights (1.0)
Description: Switch lamps
Description-md5: aaa
Filename: pool/l/lamp_1.0-2_all.deb
Size: {size}
SHA256: {sha256}

Package: fuse
Version: 3
Description-md5: bbb
"""
ENGLISH = """Package: lamp
Description-md5: aaa
Description-en: Switch lamps
 This switches lamps
 on and off.
 .
 It can:
  * do so
    at night

Package: fuse
Description-md5: bbb
Description-en: Break currents
 Breaks.

Package: gone
Description-md5: ccc
Description-en: Not in this release
 Gone.
"""
GERMAN = """Package: lamp
Description-md5: aaa
Description-de: Lampen schalten
 Schaltet.

Package: fuse
Description-md5: old
Description-de: Eine alte Beschreibung
 Alt.
"""
SCRIPT = """#!/bin/sh
echo "$@" >> {here}/calls
for word in "$@"; do
  case $word in Dir::State::lists=*) lists=${{word#*=}};; Acquire::Languages=*) languages=${{word#*=}};; esac
done
case "$*" in
  *update) cp {here}/all/* "$lists"
    for code in $(echo $languages | tr , ' '); do cp {here}/i18n/*-$code "$lists" || true; done;;
  *download*) cp {here}/lamp.deb lamp_1.0-2_all.deb;;
esac
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with lists and a script called apt-get that copies them."""
    here = tmp_path / "system"
    for name in ("all", "i18n", "bin"):
        (here / name).mkdir(parents=True)
    base = "deb.example_debian_dists_testy"
    lists = {
        f"all/{base}_InRelease": RELEASE.format(origin="Debian", suite="stable"),
        f"all/{base}_main_binary-amd64_Packages": PACKAGES.format(size=1, sha256="0"),
        f"all/{base}-updates_InRelease": RELEASE.format(origin="Debian", suite="stable-updates"),
        f"all/{base}-updates_main_binary-amd64_Packages": PACKAGES.replace("fuse", "later").format(size=1, sha256="0"),
        "all/shop.example_dists_testy_InRelease": RELEASE.format(origin="A shop", suite="stable"),
        "all/shop.example_dists_testy_main_binary-amd64_Packages": PACKAGES.replace("fuse", "shop"),
        f"i18n/{base}_main_i18n_Translation-en": ENGLISH,
        f"i18n/{base}_main_i18n_Translation-de": GERMAN,
    }
    for name, content in lists.items():
        (here / name).write_text(content)
    install(here, SCRIPT.format(here=here))
    monkeypatch.setenv("PATH", f"{here / 'bin'}:/usr/bin:/bin")
    return here


def install(here: Path, script: str) -> None:
    (here / "bin" / "apt-get").write_text(script)
    (here / "bin" / "apt-get").chmod(0o755)


def cached(tmp_path: Path) -> DataConfig:
    return DataConfig(cache=str(tmp_path / "cache"))


def test_descriptions_of_the_release_itself(system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = list(package_descriptions(("en", "de"), cached(tmp_path)))
    assert found == [
        Description(
            "lamp",
            "lights",
            "aaa",
            "en",
            "Switch lamps",
            ("This switches lamps on and off.", "It can:\n * do so\n   at night"),
        ),
        Description("fuse", "fuse", "bbb", "en", "Break currents", ("Breaks.",)),
        Description("lamp", "lights", "aaa", "de", "Lampen schalten", ("Schaltet.",)),
    ]
    said = capsys.readouterr().err
    assert "Debian 9.7 testy of Sat, 11 Jul 2026" in said
    assert debian_lists(("de",), cached(tmp_path)).sha256 in said


def test_lists_are_read_once_and_again_when_damaged(
    system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = debian_lists(("de",), cached(tmp_path))
    assert debian_lists(("de", "en"), cached(tmp_path)) == first
    calls = system / "calls"
    assert calls.read_text().count("update") == 1
    assert "Acquire::Languages=en,de" in calls.read_text()
    (first.apt / "deb.example_debian_dists_testy_main_i18n_Translation-de").write_text("changed")
    assert debian_lists(("de",), cached(tmp_path)) == first
    assert calls.read_text().count("update") == 2
    assert "is damaged; reading it again" in capsys.readouterr().err
    assert debian_lists(("en",), cached(tmp_path)).sha256 != first.sha256


def test_without_apt_get_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"this system has no apt-get; use a source that needs no apt-get"):
        debian_lists(("en",), cached(tmp_path))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'E: Could not resolve deb.example' >&2; exit 100",
            r"apt-get update failed \(Could not resolve deb\.example\)",
        ),
        ("echo 'W: Failed to fetch it' >&2; exit 0", r"apt-get update failed \(Failed to fetch it\)"),
        ("exit 0", r"apt-get update failed \(it brought nothing\)"),
    ],
)
def test_a_failure_says_why_and_leaves_nothing(system: Path, tmp_path: Path, script: str, message: str) -> None:
    install(system, f"#!/bin/sh\n{script}\n")
    with pytest.raises(DataError, match=message):
        debian_lists(("en",), cached(tmp_path))
    assert list((tmp_path / "cache" / "debian").iterdir()) == []


def test_a_language_that_is_not_there_is_named(system: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Debian 9\.7 testy has no package descriptions in tlh"):
        debian_lists(("tlh",), cached(tmp_path))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (" One\n two.\n .\n Three.", ("One two.", "Three.")),
        (" List:\n  - a\n    more\n  - b\n after", ("List:\n - a\n   more\n - b\nafter",)),
        ("  verbatim\n .\n .\n x", (" verbatim", "x")),
        ("", ()),
    ],
)
def test_paragraphs(body: str, wanted: tuple[str, ...]) -> None:
    assert paragraphs(body) == wanted


@pytest.fixture
def lamp(system: Path) -> Path:
    """A real package of three files, which apt-get will bring."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("this system has no dpkg-deb")
    root = system / "lamp"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: lamp\nVersion: 1.0-2\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: x\n"
    )
    (root / "usr/share/lamp").mkdir(parents=True)
    for name in ("on", "off"):
        (root / "usr/share/lamp" / name).write_text(f"{name}!")
    (root / "usr/share/lamp/link").symlink_to("on")
    deb = system / "lamp.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(root), str(deb)], check=True, capture_output=True)
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    index = system / "all/deb.example_debian_dists_testy_main_binary-amd64_Packages"
    index.write_text(PACKAGES.format(size=deb.stat().st_size, sha256=sha256))
    return deb


def test_packages_are_downloaded_once_and_read(
    lamp: Path, system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = debian_package("lamp", cached(tmp_path))
    said = capsys.readouterr().err
    assert "usr/share/doc/lamp/copyright" in said
    assert f"  sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, as the lists name it" in said
    assert path == tmp_path / "cache/debian/packages/lamp_1.0-2_all.deb"
    assert debian_package("lamp", cached(tmp_path)) == path
    assert (system / "calls").read_text().count("download lamp=1.0-2") == 1
    assert sorted(members(path)) == [("usr/share/lamp/off", b"off!"), ("usr/share/lamp/on", b"on!")]
    assert [name for name, _ in members(path, lambda name: name.endswith("on"))] == ["usr/share/lamp/on"]
    assert next(members(path))[1] in (b"on!", b"off!"), "a reader may stop"
    with pytest.raises(DataError, match=r"has no package 'lampe'; did you mean lamp\?"):
        debian_package("lampe", cached(tmp_path))


def test_packages_of_another_digest_and_damaged_ones_are_refused(lamp: Path, tmp_path: Path) -> None:
    whole = lamp.read_bytes()
    lamp.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"is not what .* names; nothing was kept"):
        debian_package("lamp", cached(tmp_path))
    assert list((tmp_path / "cache/debian/packages").iterdir()) == []
    for wrong in (whole[: len(whole) // 2], b"no package at all", b""):
        lamp.write_bytes(wrong)
        with pytest.raises(DataError, match=r"lamp\.deb: damaged package"):
            list(members(lamp))
