"""The shape of the tree: file sizes, names, what is imported when, what is never called, cards that agree."""

from __future__ import annotations

import ast
import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import run_config
from tasks import TASKS

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "tasks", "benchmarks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PLACES = [path.relative_to(ROOT).as_posix() for path in FILES]
HEAVY = ("torch", "pydantic", "datasets", "sacrebleu", "tokenizers", "tqdm", "rapidfuzz")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    ("eval",): "runs what it is given",
    ("exec",): "runs what it is given",
    ("os", "system"): "goes through a shell",
    ("os", "popen"): "goes through a shell",
    ("torch", "load"): "runs pickles",
    ("torch", "save"): "writes pickles",
    ("torch", "jit", "load"): "runs pickles",
    ("torch", "hub", "load"): "runs what it downloads",
    ("torch", "export", "load"): "runs pickles",
    ("torch", "distributed", "checkpoint", "load"): "runs pickles",
    ("compile",): "makes code of what it is given",
    ("os", "posix_spawn"): "starts a program past subprocess, of which all are looked at here",
    ("runpy", "run_path"): "runs what it reads",
    ("code", "interact"): "runs what it is given",
    ("yaml", "load"): "runs what it reads",
    ("yaml", "load_all"): "runs what it reads",
    ("yaml", "full_load"): "makes objects of what it reads",
    ("yaml", "unsafe_load"): "runs what it reads",
    ("pandas", "read_pickle"): "runs pickles",
    ("shutil", "unpack_archive"): "writes where an archive says",
}
FORBIDDEN_METHODS = {"extractall": "writes where an archive says", "extract": "writes where an archive says"}
"""Of whatever object: archives are read member by member."""
FORBIDDEN_KEYWORDS = {
    "allow_pickle": "lets numpy read pickles",
    "trust_remote_code": "runs what it downloads",
    "shell": "goes through a shell",
}
"""Unless they are False."""
PARSERS = {"xml.etree", "xml.dom", "xml.sax", "lxml"}
"""Expand what a file declares; expat is told not to."""
AUDITED = "core/jail/harness.py"
"""Runs generated programs, in a process that is already in jail: the only module that may."""
MOST_LINES = 400


def test_the_top_level_is_what_the_readme_says() -> None:
    for name in ("pyproject.toml", "README.md", "core", "tasks", "benchmarks", "configs", "tests", "docs", "Makefile"):
        assert (ROOT / name).exists(), name
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=PLACES)
def test_a_file_holds_one_idea(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{lines} lines; cut it where its second idea begins"


@pytest.mark.parametrize("path", FILES, ids=PLACES)
def test_a_file_has_a_name_of_its_own(path: Path) -> None:
    assert not re.search(r"(^|_)(utils?|helpers?|common|misc|base|manager)(_|$)", path.stem), (
        "says nothing: name the idea"
    )


@pytest.mark.parametrize("path", FILES, ids=PLACES)
def test_nothing_runs_what_it_reads(path: Path) -> None:
    found = list(faults(ast.parse(path.read_text(encoding="utf-8"))))
    if path.relative_to(ROOT).as_posix() == AUDITED:
        assert {fault.split(": ", 1)[1] for fault in found} == {
            "eval runs what it is given",
            "exec runs what it is given",
            "compile makes code of what it is given",
        }
        found = []
    assert found == []


def test_what_runs_code_is_called_from_within_the_jail_alone() -> None:
    name = AUDITED.removesuffix(".py").replace("/", ".")
    mentions = [path for path in FILES if re.search(rf"{name}|import .*\bharness\b", path.read_text(encoding="utf-8"))]
    assert [path.relative_to(ROOT).as_posix() for path in mentions] == ["core/jail/zygote.py"]


def test_the_check_finds_what_it_looks_for() -> None:
    guilty = """
import pickle, torch as t, subprocess as s
from torch import load as fetch
from os import system
t.load("x")
fetch("x")
system("ls")
eval("1")
s.run("ls", shell=True)
t.nn.Module().load("x")
import numpy as np, yaml
from xml.etree import ElementTree
np.load("x")
np.load("x", allow_pickle=True)
np.load("x", allow_pickle=False)
yaml.unsafe_load("x")
yaml.safe_load("x")
archive.extractall(".")
compile("1", "x", "eval")
re.compile("1")
load_dataset("x", trust_remote_code=True)
"""
    assert len(list(faults(ast.parse(guilty)))) == 13


def faults(tree: ast.AST) -> Iterator[str]:
    """Calls and imports that no module may have."""
    names: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for one in node.names:
                    names[one.asname or one.name.split(".")[0]] = tuple(
                        (one.name if one.asname else one.name.split(".")[0]).split(".")
                    )
                    if one.name.split(".")[0] in FORBIDDEN_MODULES:
                        yield f"line {node.lineno}: {one.name} is for pickles"
                    if one.name in PARSERS or ".".join(one.name.split(".")[:2]) in PARSERS:
                        yield f"line {node.lineno}: {one.name} expands entities"
            case ast.ImportFrom():
                for one in node.names:
                    names[one.asname or one.name] = (*(node.module or "").split("."), one.name)
                if ".".join((node.module or "").split(".")[:2]) in PARSERS:
                    yield f"line {node.lineno}: {node.module} expands entities"
                if (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
                    yield f"line {node.lineno}: {node.module} is for pickles"
            case _:
                pass
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        called = (*names.get(called[0], called[:1]), *called[1:]) if called else ()
        if called in FORBIDDEN_CALLS:
            yield f"line {node.lineno}: {'.'.join(called)} {FORBIDDEN_CALLS[called]}"
        for keyword in node.keywords:
            if keyword.arg in FORBIDDEN_KEYWORDS and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield f"line {node.lineno}: {keyword.arg}= {FORBIDDEN_KEYWORDS[keyword.arg]}"
        if isinstance(node.func, ast.Attribute) and node.func.attr in FORBIDDEN_METHODS:
            yield f"line {node.lineno}: .{node.func.attr} {FORBIDDEN_METHODS[node.func.attr]}"
        if called[-2:] in (("numpy", "load"), ("np", "load")) and "allow_pickle" not in {
            one.arg for one in node.keywords
        }:
            yield f"line {node.lineno}: numpy.load without allow_pickle=False is for pickles in old versions"


def dotted(node: ast.expr) -> tuple[str, ...]:
    """`a.b.c` as its parts; empty for what is no plain name."""
    match node:
        case ast.Name():
            return (node.id,)
        case ast.Attribute():
            inner = dotted(node.value)
            return (*inner, node.attr) if inner else ()
        case _:
            return ()


def test_a_listing_is_quick_and_imports_no_library() -> None:
    code = (
        "import sys, runpy; sys.argv = ['tasks']\n"
        "try: runpy.run_module('tasks', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        f"assert not set(sys.modules) & {{*{HEAVY!r}, 'numpy'}}, sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds: list[float] = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        listed = subprocess.run([sys.executable, "-m", "tasks"], cwd=ROOT, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5, "of the processor's time, since the machine may be busy with other tests"
    for name in TASKS.names():
        card = TASKS.card(name)
        (line,) = (line for line in listed.stdout.splitlines() if line.split()[0] == name)
        for cell in (card.summary, card.data, card.metric):
            assert cell in line


def test_names_and_configs_import_no_torch() -> None:
    tasks = [f"tasks.{path.parent.name}" for path in sorted((ROOT / "tasks").glob("*/card.toml"))]
    assert {"tasks.roman", "tasks.translation"} <= set(tasks)
    modules = [
        "core.record",
        "core.errors",
        "core.task",
        "core.config_toml",
        "core.settings",
        "core.registry",
        "core.cli",
        *tasks,
    ]
    code = f"import sys, {', '.join(modules)}\nfound = set(sys.modules) & {{*{HEAVY!r}}}\nassert not found, found"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*/card.toml")), ids=lambda path: path.parent.name)
def test_a_card_agrees_with_its_task(path: Path) -> None:
    name = path.parent.name
    card, task = TASKS.card(name), TASKS[name]
    assert tomllib.loads(path.read_text(encoding="utf-8")).keys() <= {"name", "summary", "data", "metric", "extra"}
    run_config(task.config)
    assert card.metric == task.metrics(task.config())[0].name
    assert card.summary
    assert card.data
    if card.extra:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        assert card.extra in extras
        assert card.extra in " ".join(extras["tasks"]), f"the extra `tasks` lacks {card.extra}"


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*/card.toml")), ids=lambda path: path.parent.name)
def test_every_task_has_the_same_files(path: Path) -> None:
    for verb in ("train", "evaluate", "predict", "report", "compare", "likelihood"):
        code = (path.parent / f"{verb}.py").read_text(encoding="utf-8")
        assert len(code.splitlines()) <= 10, f"{verb}.py is five lines and never grows: what varies belongs elsewhere"
    for config in ("tiny.toml", "default.toml"):
        assert (ROOT / "configs" / path.parent.name / config).is_file(), config


def test_comments_promise_nothing() -> None:
    for path in FILES:
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8")), path
