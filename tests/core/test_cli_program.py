"""The command line as a program of its own: a mistake is told before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def plugin(tmp_path: Path) -> dict[str, str]:
    """A module `digits_program` that is `python -m tasks.digits.train` in all but name; its environment."""
    lines = [
        "import sys",
        f"sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]",
        "from test_cli import TASK",
        "from core.cli import main",
        "if __name__ == '__main__':",
        "    code = main(sys.argv.pop(1), TASK)",
        "    print('torch' in sys.modules, file=sys.stderr)",
        "    raise SystemExit(code)",
    ]
    (tmp_path / "digits_program.py").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["train", "trian.steps=3"], "did you mean train.steps?"),
        (["train", "--resum"], "did you mean --resume?"),
        (["train", "firts.toml"], "firts.toml: no such file"),
    ],
)
def test_a_mistake_costs_no_torch(argv: list[str], said: str, tmp_path: Path) -> None:
    environment = plugin(tmp_path)
    command = [sys.executable, "-m", "digits_program", *argv]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    message, torch_is_there = ended.stderr.splitlines()
    assert said in message
    assert torch_is_there == "False"


def test_nobody_reading_is_no_mistake(tmp_path: Path) -> None:
    command = f"{sys.executable} -m digits_program train --help-all | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], env=plugin(tmp_path), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "top level\n")
    assert "Error" not in ended.stderr


@pytest.mark.parametrize("module", [["tasks"], ["tasks.roman.train"], ["tasks", "train", "roman"]])
def test_an_interpreter_without_libraries_is_told_what_to_install(module: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-m", *module]  # without site-packages
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wanted = "torch and numpy and safetensors: pip install torch numpy safetensors"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"error: Transduce needs {wanted}\n")
