"""Hostile programs on every tier, as this user and as nobody: contained, as seen from outside (jail/trial.py looks)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("core/__init__.py", "core/errors.py")
NOBODY = 65534
TIERS = ("namespaces", "landlock", "bubblewrap")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is for Linux")


@pytest.fixture(scope="module")
def readable() -> Iterator[tuple[Path, Path]]:
    """An interpreter and a copy of the jail that any user can read: this interpreter itself where it is not at home privately."""
    with tempfile.TemporaryDirectory(prefix="transduce-test-") as folder:
        yield readable_in(Path(folder))


def readable_in(folder: Path) -> tuple[Path, Path]:
    """Both, copied into a folder of pytest's they would lie below one that only its user may enter."""
    for name in ("core/jail", "tests/core/jail"):
        shutil.copytree(ROOT / name, folder / name)
    for name in NEEDED:
        shutil.copy(ROOT / name, folder / name)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for interpreter in (Path(sys.executable), Path("/usr/bin/python3"), Path("/usr/local/bin/python3")):
        try:
            said = subprocess.run(
                [interpreter, "-c", "import sys; print(sys.version_info >= (3, 11))"],
                user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False, cwd="/",
            ).stdout  # fmt: skip
        except OSError:
            continue
        if said.strip() == "True":
            return interpreter, folder
    return copied(folder / "python"), folder


def copied(folder: Path) -> Path:
    """This interpreter without the packages of others."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), folder / "bin" / version)
    for path in Path(sys.base_prefix, "lib").glob("libpython*"):
        (folder / "lib").mkdir(exist_ok=True)
        shutil.copy(path, folder / "lib" / path.name)
    left_out = shutil.ignore_patterns(
        "site-packages", "test", "idlelib", "lib2to3", "config-*", "ensurepip", "__pycache__"
    )
    shutil.copytree(Path(os.__file__).parent, folder / "lib" / version, ignore=left_out)
    return folder / "bin" / version


def tried(interpreter: Path, root: Path, *words: str, nobody: bool = False) -> dict[str, Any]:
    """What the trial saw."""
    identity: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if nobody else {}
    ended = subprocess.run(
        [interpreter, root / "tests" / "core" / "jail" / "trial.py", root, *words],
        capture_output=True, text=True, check=False, cwd="/", **identity,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    if "refused" in found:
        pytest.skip(found["refused"])
    print(json.dumps(found))
    return found


def contained(found: dict[str, Any], *, least: int) -> None:
    """No breach, and not for want of attacks."""
    assert found["breaches"] == {}
    assert found["attacks"] >= least


@pytest.mark.parametrize("tier", TIERS[:2])
def test_some_of_each_class_is_contained(tier: str) -> None:
    contained(tried(Path(sys.executable), ROOT, tier, "quick"), least=50)


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_all_are_contained(tier: str) -> None:
    contained(tried(Path(sys.executable), ROOT, tier, "full"), least=400)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("nobody", [True, False], ids=["as nobody", "as root who can become nobody"])
def test_all_are_contained_for_others(tier: str, nobody: bool, readable: tuple[Path, Path]) -> None:
    interpreter, root = readable
    found = tried(interpreter, root, tier, "full", nobody=nobody)
    assert found["user"] == (NOBODY if nobody else 0)
    contained(found, least=400)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_some_of_each_class_is_contained_for_an_ordinary_user(readable: tuple[Path, Path]) -> None:
    interpreter, root = readable
    contained(tried(interpreter, root, "landlock", "quick", nobody=True), least=50)


@pytest.mark.slow
def test_without_a_jail_the_trial_sees_the_breach() -> None:
    found = tried(Path(sys.executable), ROOT, "bare")
    assert found["unseen"] == []
    assert found["attacks"] >= 30
