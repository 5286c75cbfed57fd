"""A third party's task from `new` to `predict`: installed by pip without a network, and in bad company."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from core.config_toml import load
from core.errors import ConfigError
from core.scaffold import scaffold
from core.settings import run_config
from tasks import TASKS
from tests.conftest import ROOT, Typed

pytestmark = pytest.mark.xdist_group("plugin")  # one worker installs the packages for all


def install(package: Path, site: Path) -> None:
    """By pip, from a copy, since building leaves its traces beside the source."""
    copy = site.parent / f"building-{package.name}"
    shutil.copytree(package, copy)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    command = [sys.executable, "-m", "pip", "install", *quiet, *offline, "--target", str(site), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tasks_command: Typed) -> Path:
    """A folder with the generated package of the task `chords` in `package`, installed in `site`."""
    folder = tmp_path_factory.mktemp("plugin")
    done = tasks_command(["new", "chords", "package"], folder=folder)
    assert done.returncode == 0, done.stderr
    assert "pip install -e package" in done.stdout
    install(folder / "package", folder / "site")
    return folder


def test_it_is_listed_with_its_card(place: Path, tasks_command: Typed) -> None:
    done = tasks_command([], folder=place, site=place / "site")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("chords "))
    assert "Dates in words to dates in numbers" in line
    assert "exact@1" in line
    assert "from transduce-chords 0.1.0" in line
    assert tasks_command(["--names"], folder=place, site=place / "site").stdout.split() == sorted(
        [*TASKS.names(), "chords"]
    )
    assert "chords" not in tasks_command(["--names"], folder=place).stdout


def test_it_passes_every_law(place: Path, tasks_command: Typed) -> None:
    done = tasks_command(["check", "chords"], folder=place, site=place / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " laws hold, 0 fail" in done.stdout.splitlines()[-1]


def test_its_data_is_sound(place: Path, tasks_command: Typed) -> None:
    done = tasks_command(["doctor", "chords"], folder=place, site=place / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("train and test: 0 sources in both", "  tokens   ", "round trip 100.00 %", "unknown tokens 0.00 %"):
        assert words in done.stdout


def test_it_trains_evaluates_and_predicts(place: Path, tasks_command: Typed) -> None:
    site, run = place / "site", "runs/first"
    done = tasks_command(["train", "chords", "--run", run], folder=place, site=site)
    assert done.returncode == 0, done.stderr
    done = tasks_command(
        ["evaluate", "chords", run, "--split", "test", "--json", "score.json"], folder=place, site=site
    )
    assert done.returncode == 0, done.stderr
    score = json.loads((place / "score.json").read_text(encoding="utf-8"))
    assert score["task"] == "chords"
    assert score["metrics"]["exact@1"]["value"] >= 99
    done = tasks_command(["predict", "chords", run], folder=place, site=site, text="14 July 1999\n1 May 2010\n")
    assert (done.returncode, done.stdout) == (0, "1999-07-14\n2010-05-01\n"), done.stderr


def test_its_own_tests_pass(place: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(place / "package", package)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath=. {ROOT}"]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_what_is_generated_is_in_good_style(place: Path) -> None:
    for command in (("format", "--check"), ("check",)):
        config = ("--config", str(ROOT / "pyproject.toml"))
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", *config, "."],
            cwd=place / "package",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    texts = {path: path.read_text(encoding="utf-8") for path in (place / "package").rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if "{{" in text or "NAME" in path.name]
    assert len(texts[place / "package/chords_task/__init__.py"].splitlines()) <= 65


@pytest.mark.parametrize("name", ["roman", "Dates", "class", "two words", "", "9lives", "a-b", "_x", "x_", "ñ"])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        scaffold(name, tmp_path / "package", taken=["roman"])
    assert not (tmp_path / "package").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path, tasks_command: Typed) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target in ("used", "file"):
        done = tasks_command(["new", "dates", target], folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {target}: not an empty folder")
        assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "mine.txt", "used"]
    (tmp_path / "empty").mkdir()
    assert tasks_command(["new", "dates", "empty"], folder=tmp_path).returncode == 0
    assert (tmp_path / "empty/dates_task/__init__.py").is_file()


@pytest.fixture(scope="module")
def bad_company(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good package, one that raises when imported, one without metrics, and two that claim one name."""
    folder = tmp_path_factory.mktemp("company")
    site = folder / "site"
    install(place / "package", site)
    changed = {
        "raising": ("TASK = ", "raise RuntimeError('no licence found')\nTASK = "),
        "lacking": (", metrics=metrics)", ")"),
        "empty": (", metrics=metrics)", ", metrics=None)"),
    }
    for name, (old, new) in changed.items():
        scaffold(name, folder / name, taken=())
        code = folder / name / f"{name}_task/__init__.py"
        assert old in code.read_text(encoding="utf-8")
        code.write_text(code.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        install(folder / name, site)
    for package in ("one", "other"):
        scaffold(package, folder / package, taken=())
        project = folder / package / "pyproject.toml"
        renamed = project.read_text(encoding="utf-8").replace(
            f'{package} = "{package}_task:TASK"', f'same = "{package}_task:TASK"'
        )
        project.write_text(renamed, encoding="utf-8")
        install(folder / package, site)
    return site


def test_bad_company_is_named_and_the_others_work(bad_company: Path, tmp_path: Path, tasks_command: Typed) -> None:
    listed = tasks_command([], folder=tmp_path, site=bad_company)
    assert listed.returncode == 0
    assert "same: claimed by transduce-one 0.1.0 (one_task) and transduce-other 0.1.0 (other_task)" in listed.stdout
    for name in ("chords", "roman", "raising", "lacking"):
        assert f"\n{name} " in listed.stdout
    checked = tasks_command(["check"], folder=tmp_path, site=bad_company)
    assert checked.returncode == 2
    assert "ok    chords" in checked.stdout
    assert "ok    roman" in checked.stdout
    errors = [line for line in checked.stderr.splitlines() if line.startswith("error: ")]
    assert [error.split(": ")[1] for error in errors] == ["empty", "lacking", "raising", "same"]
    assert (
        "transduce-raising 0.1.0 cannot be loaded (raising_task:TASK): RuntimeError: no licence found" in checked.stderr
    )
    assert 'raising_task/__init__.py", line ' in checked.stderr
    assert "missing 1 required keyword-only argument: 'metrics'" in checked.stderr
    assert "transduce-empty 0.1.0: empty_task:TASK: `metrics` is missing" in checked.stderr
    assert "/core/" not in checked.stderr, "the traceback is the plugin's alone"


def test_a_verb_on_a_broken_task_says_whose_fault_it_is(
    bad_company: Path, tmp_path: Path, tasks_command: Typed
) -> None:
    done = tasks_command(["train", "raising"], folder=tmp_path, site=bad_company)
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.splitlines()[-1].startswith("error: raising: transduce-raising 0.1.0 cannot be loaded")
    done = tasks_command(["train", "roman", "--show"], folder=tmp_path, site=bad_company)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["chekc"], 2, "did you mean check?"),
        (["train"], 2, "which task?"),
        (["train", "romn"], 2, "did you mean roman?"),
        (["check", "romn"], 2, "did you mean roman?"),
        (["roman"], 2, "a task, and what to do with it?"),
        (["new", "dates"], 2, "needs a name and a folder"),
        (["doctor"], 2, "which task?"),
        (["doctor", "roman", "data.sauce=1"], 2, "data.source"),
        (["check", "--fast", "roman"], 2, "no such flag"),
        (["--completion", "tcsh"], 2, "one of bash, zsh, fish"),
        (["evaluate", "roman", "nowhere"], 2, "nowhere: no such run folder"),
    ],
)
def test_a_mistyped_command_is_one_line(
    words: list[str], code: int, said: str, tmp_path: Path, tasks_command: Typed
) -> None:
    done = tasks_command(words, folder=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_fits_one_screen(tmp_path: Path, tasks_command: Typed) -> None:
    for words in (["--help"], ["train", "--help"]):
        done = tasks_command(words, folder=tmp_path)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) <= 24
    done = tasks_command(["--completion", "bash"], folder=tmp_path)
    assert "complete -o filenames -F _transduce transduce" in done.stdout


def test_doctor_finds_leaks(tmp_path: Path, tasks_command: Typed) -> None:
    rows = [{"id": str(n), "source": str(n), "target": "I" * n} for n in range(1, 9)]
    for split, part in (("train", rows[:6]), ("dev", rows[5:7]), ("test", rows[7:])):
        path = tmp_path / f"{split}.jsonl"
        path.write_text(
            "".join(json.dumps({**row, "id": f"{split}{row['id']}"}) + "\n" for row in part), encoding="utf-8"
        )
    words = ["doctor", "roman", "data.source=jsonl", f"data.path=[{str(tmp_path)!r}]"]
    done = tasks_command(words, folder=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "train and dev: 1 sources in both" in done.stdout
    assert "train and test: 0 sources in both" in done.stdout


def test_generated_configs_are_those_of_a_task(place: Path) -> None:
    project = tomllib.loads((place / "package/pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["transduce.tasks"] == {"chords": "chords_task:TASK"}
    configs = place / "package/chords_task/configs"
    kind = run_config(TASKS["roman"].config)
    assert load(kind, configs / "default.toml").config == load(kind, configs / "tiny.toml").config
