"""The command line: what it makes of words, and what it says of wrong ones, before torch is imported."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.cli import VERBS, completion_script, default_config, dispatch, main, settings, train_arguments
from core.codec.types import Codecs
from core.config import AtLeast1, Impossible, config
from core.config_toml import to_toml
from core.data.config import DataConfig
from core.errors import BadRecord, ConfigError, DataError, Diverged, Interrupted
from core.flags import Flag, Words, taken_apart
from core.record import Record, Split
from core.settings import run_config
from core.task import Metric, Task

ROOT = Path(__file__).parents[2]


@config
class DigitsConfig:
    largest: AtLeast1 = 999
    """Numbers go up to this."""


def numbers(cfg: DigitsConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """Never read here."""
    yield Record("1", "1", "1")


def codecs(cfg: DigitsConfig, train: Iterable[Record]) -> Codecs:
    """Never fitted here."""
    raise AssertionError


def metrics(cfg: DigitsConfig) -> Sequence[Metric]:
    """None is needed here."""
    return ()


TASK = Task(name="digits", config=DigitsConfig, sources={"numbers": numbers}, codecs=codecs, metrics=metrics)
FLAGS = (Flag("--run", "", "DIR"), Flag("--resume", ""), Flag("--split", "", "SPLIT", ("dev", "test")))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run folder as far as the command line looks into it."""
    folder = tmp_path / "runs/digits/first"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(to_toml(run_config(DigitsConfig)()))
    (folder / "run.json").write_text(json.dumps({"task": "digits"}))
    return "runs/digits/first"


def words(*argv: str) -> Words:
    """Taken apart as `train` would."""
    return taken_apart(argv, VERBS["train"].flags, lambda word: False)


def refused(capsys: pytest.CaptureFixture[str], verb: str, *argv: str, code: int = 2) -> str:
    """The one line that a mistake gets."""
    assert main(verb, TASK, list(argv)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err.removeprefix("error: ").removesuffix("\n")


# words


def test_words_are_taken_apart() -> None:
    for argv in (["--run", "d", "x", "--resume", "-"], ["x", "--run=d", "--resume", "-"]):
        found = taken_apart(argv, FLAGS, lambda word: False)
        assert found == Words(("x", "-"), {"--run": "d", "--resume": ""})
    assert taken_apart(["--", "--run", "-"], FLAGS, lambda word: False) == Words(("--run", "-"))
    assert taken_apart(["--run=--odd"], FLAGS, lambda word: False).flags == {"--run": "--odd"}
    assert taken_apart(["-h"], FLAGS, lambda word: False).on("--help")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--resum"], "--resum: no such flag; did you mean --resume?"),
        (["--resum=3"], "--resum: no such flag; did you mean --resume?"),
        (["-x"], "-x: no such flag; there are --help, --help-all, --completion, --run, --resume, --split"),
        (["--run"], "--run: needs a value: --run DIR"),
        (["--run="], "--run: needs a value: --run DIR"),
        (["--run", "--resume"], "--run: needs a value: --run DIR"),
        (["--resume=yes"], "--resume=yes: --resume takes no value"),
        (["--run", "a", "--run", "b"], "--run: given twice"),
        (["--split", "tset"], "--split tset: must be one of dev, test; did you mean test?"),
        (["--completion", "csh"], "--completion csh: must be one of bash, zsh, fish; did you mean zsh?"),
    ],
)
def test_wrong_flags(argv: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        taken_apart(argv, FLAGS, lambda word: False)
    assert str(caught.value) == said


def test_settings_are_told_from_files() -> None:
    Path("a=b").touch()
    assert settings(["a=b", "train.steps=3", "x/y=z", "-"]) == (("train.steps=3",), ["a=b", "x/y=z", "-"])
    assert settings(["data.source=" + "x" * 5000])[0] != ()


# train


def test_train_reads_its_config() -> None:
    Path("x.toml").write_text("seed = 5\n")
    found = train_arguments(TASK, words("x.toml", "train.steps=3", "--run", "there", "--dry-run"))
    assert found.config is not None
    assert (found.config.config.seed, found.config.config.train.steps) == (5, 3)
    assert (found.run, found.resume, found.show, found.dry_run) == (Path("there"), False, False, True)
    assert found.config_path == Path("x.toml")
    assert isinstance(found.config.config.task, DigitsConfig)


def test_the_default_config_is_the_nearest(tmp_path: Path) -> None:
    assert default_config(TASK) is None
    found = train_arguments(TASK, words())
    assert found.config is not None
    assert found.config_path is None
    assert found.config.config == run_config(DigitsConfig)()
    Path("configs/digits").mkdir(parents=True)
    Path("configs/digits/default.toml").write_text("seed = 7\n")
    found = train_arguments(TASK, words())
    assert found.config is not None
    assert (found.config_path, found.config.config.seed) == (Path("configs/digits/default.toml"), 7)


def test_a_plugins_default_config_is_in_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plugin_of_test_cli"
    (package / "configs").mkdir(parents=True)
    (package / "__init__.py").write_text("from core.config import config\n\n@config\nclass Own:\n    x: int = 1\n")
    (package / "configs/default.toml").write_text("[task]\nx = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = __import__("plugin_of_test_cli").Own
    task: Task[Any] = Task(name="plugin", config=own, sources={"n": numbers}, codecs=codecs, metrics=metrics)
    found = train_arguments(task, words())
    assert found.config is not None
    assert found.config.config.task == own(x=2)


def test_resume_takes_the_stored_config_unless_another_is_given(run: str) -> None:
    Path("x.toml").write_text("seed = 5\n")
    assert train_arguments(TASK, words("--resume", "--run", run)).config is None
    assert train_arguments(TASK, words("--resume")).config is None
    given = train_arguments(TASK, words("x.toml", "--resume", "--run", run)).config
    assert given is not None
    assert given.config.seed == 5
    changed = train_arguments(TASK, words("--resume", "--run", run, "train.steps=3")).config
    assert changed is not None
    assert changed.config.train.steps == 3
    new = train_arguments(
        TASK, words("--resume", "--run", "runs/digits/new")
    ).config  # nothing there yet: from the start
    assert new is not None


def test_show_prints_a_config_that_loads(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.toml").write_text("seed = 5\n")
    assert main("train", TASK, ["x.toml", "--show", "train.steps=3"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^seed = 5 +# x.toml:1$", shown, re.MULTILINE)
    assert re.search(r"^steps = 3 +# command line$", shown, re.MULTILINE)
    assert re.search(r"^largest = 999 +# default$", shown, re.MULTILINE)
    Path("y.toml").write_text(shown)
    assert main("train", TASK, ["y.toml", "--show"]) == 0
    assert sorted(os.listdir()) == ["x.toml", "y.toml"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian.steps=3"], "command line: trian.steps = 3: no such key; did you mean train.steps?"),
        (["task.largst=3"], "command line: task.largst = 3: no such key; did you mean task.largest?"),
        (["steps"], "steps: neither a CONFIG.toml nor key=value nor a flag"),
        (["-"], "-: neither a CONFIG.toml nor key=value nor a flag"),
        (["a.toml", "b.toml"], "b.toml: one CONFIG is enough, a.toml was given before"),
        (["firts.toml"], "firts.toml: no such file; did you mean first.toml?"),
        (["--resume", "--show"], "--resume: name a CONFIG or --run to show it or to compare key=value with it"),
        (["--dryrun"], "--dryrun: no such flag; did you mean --dry-run?"),
        (["--run", "x", "--n-best", "3"], "--n-best: no such flag; there are"),
    ],
)
def test_mistakes_of_train(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("first.toml").touch()
    assert refused(capsys, "train", *argv).startswith(said)
    assert os.listdir() == ["first.toml"]


# evaluate and predict


@pytest.mark.parametrize(
    ("verb", "argv", "said", "code"),
    [
        ("evaluate", [], "which RUN? Name a run folder, such as runs/digits/first", 2),
        (
            "evaluate",
            ["runs/digits/frist"],
            "runs/digits/frist: no such run folder; did you mean runs/digits/first?",
            2,
        ),
        ("evaluate", ["runs/digits"], "runs/digits: not a run folder (it has no config.toml)", 2),
        ("evaluate", ["RUN", "other"], "other: one RUN at a time; your own data is --data other", 2),
        ("evaluate", ["RUN", "--split", "train"], "--split train: must be one of dev, test", 2),
        ("evaluate", ["RUN", "model.width=3"], "model.width=3: a trained run keeps its [model]; what may change: ", 2),
        ("evaluate", ["RUN", "task.largest=3"], "task.largest=3: a trained run keeps its [task]; what may change: ", 2),
        ("evaluate", ["RUN", "train.lr=3"], "train.lr=3: a trained run keeps its [train]; what may change: ", 2),
        ("evaluate", ["RUN", "serach.beams=3"], "command line: serach.beams = 3: no such key; did you mean search", 2),
        ("predict", ["RUN", "search.beams=0"], "command line: search.beams = 0: must be an integer, at least 1", 2),
        ("predict", ["RUN", "--n-best", "0"], "--n-best 0: must be an integer, at least 1", 2),
        ("predict", ["RUN", "--n-best", "-1"], "--n-best -1: must be an integer, at least 1", 2),
        ("predict", ["RUN", "--n-best", "two"], "--n-best two: must be an integer, at least 1", 2),
        ("predict", ["RUN", "-", "-"], "-: standard input can be read once", 2),
        ("predict", [], "which RUN? Name a run folder, such as runs/digits/first", 2),
    ],
)
def test_mistakes_about_runs(
    verb: str, argv: list[str], said: str, code: int, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [run if word == "RUN" else word for word in argv]
    assert refused(capsys, verb, *argv, code=code).startswith(said)


def test_a_damaged_or_foreign_run_is_said(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(run, "config.toml").read_text()
    Path(run, "config.toml").write_text(text.replace("beams", "baems"))
    said = refused(capsys, "predict", run, code=3)
    assert re.search(r"config.toml:\d+: search.baems = 5: no such key; did you mean search.beams\?", said)
    assert "undamaged" in refused(capsys, "train", "--resume", "--run", run, code=3)
    Path(run, "run.json").write_text('{"task": "letters"}')
    assert refused(capsys, "predict", run) == f"{run}: a run of letters, not of digits"


# dispatch


def raising(error: BaseException) -> Callable[[], Task[Any]]:
    """A task whose loading ends like this."""

    def load_task() -> Task[Any]:
        raise error

    return load_task


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("no"), 2, "error: no\n"),
        (DataError("f:3: no"), 3, "error: f:3: no\n"),
        (BadRecord("no"), 3, "error: no\n"),
        (Diverged("step 3"), 4, "error: step 3\n"),
        (Impossible("tie", "not so"), 2, "error: tie: not so\n"),
        (Interrupted(signal.SIGINT), 130, ""),
        (Interrupted(signal.SIGTERM), 143, ""),
        (Interrupted(signal.SIGUSR1), 85, ""),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x/y"), 3, "error: x/y: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 3, "error: x: Permission denied\n"),
    ],
)
def test_exit_codes(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("train", raising(error), "digits", []) == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("bug", [ValueError("bug"), FileNotFoundError(errno.ENOENT, "bug"), AssertionError("bug")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug), match="bug"):
        dispatch("train", raising(bug), "digits", [])


def test_no_such_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("tarin", raising(AssertionError()), "digits", []) == 2
    said = capsys.readouterr().err
    assert (
        said
        == "error: tarin: no such verb; one of train, evaluate, predict, report, compare, likelihood; did you mean train?\n"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_one_screen_and_needs_no_task(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "-h"):
        assert dispatch(verb, raising(AssertionError()), "digits", ["nonsense", flag]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 120
        assert lines[2] == f"usage: python -m tasks {verb} digits {VERBS[verb].usage}"
        assert len(lines[lines.index("examples:") + 1 :]) == 2
        assert "{task}" not in "".join(lines)


def test_help_all_has_every_key_with_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("train", TASK, ["--help-all"]) == 0
    said = capsys.readouterr().out
    assert "  task.largest = 999    integer, at least 1\n      Numbers go up to this.\n" in said
    assert '  model.cell = "gru"    one of gru, lstm, rnn\n' in said
    assert main("train", TASK, ["--keys"]) == 0
    keys = capsys.readouterr().out.split()
    assert len(keys) == len(set(keys)) > 60
    assert [key for key in keys if f"  {key} = " not in said] == []
    assert main("predict", TASK, ["--keys"]) == 0
    assert {key.split(".")[0] for key in capsys.readouterr().out.split()} == {
        "seed",
        "data",
        "batch",
        "train",
        "search",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_parse(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("train", TASK, ["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert script == completion_script(shell)
    assert "transduce --names" in script
    assert "--keys" in script
    assert all(verb in script for verb in VERBS)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["tr"], {"train"}),
        (["train", "dig"], {"digits"}),
        (["train", "digits", "--dr"], {"--dry-run"}),
        (["evaluate", "digits", "--split", ""], {"dev", "test"}),
        (["train", "digits", "train.st"], {"train.steps="}),
    ],
)
def test_bash_completes(typed: list[str], offered: set[str]) -> None:
    stub = 'transduce() { case "$*" in --names) echo digits;; *--keys) echo train.steps; echo train.lr;; esac; }'
    line = " ".join(f"'{word}'" for word in ["transduce", *typed])
    script = f"{completion_script('bash')}\n{stub}\nCOMP_WORDS=({line})\nCOMP_CWORD={len(typed)}\n_transduce\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    found = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=True).stdout
    assert set(found.split()) == offered
