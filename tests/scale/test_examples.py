"""What docs/scaling shows can be read by those it is for, and what it gives the trainer by the trainer."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from benchmarks.scaling.plan import BEGIN, END, PAGE, page
from core.cli import VERBS, train_arguments
from core.config_toml import is_override
from core.flags import taken_apart
from tasks import TASKS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "scaling"


def accepted(words: list[str]) -> None:
    """Behind torchrun's `-m --`: a module of the tree, and words that its verb takes."""
    module, *rest = words[words.index("--") + 1 :]
    _, task, verb = module.split(".")
    assert verb == "train"
    found = train_arguments(TASKS[task], taken_apart(rest, VERBS["train"].flags, is_override))
    assert found.resume
    assert found.run is not None
    assert found.config is not None
    assert found.config.config.train.parallel == "ddp"


def test_the_slurm_script_is_a_script() -> None:
    path = FOLDER / "slurm.sh"
    subprocess.run(["bash", "-n", path], check=True)
    joined = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    (command,) = [line for line in joined.splitlines() if line.startswith("srun")]
    accepted(shlex.split(command))


def test_the_kubernetes_job_is_one() -> None:
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    accepted(container["command"])
    pods, gpus = job["spec"]["completions"], container["resources"]["limits"]["nvidia.com/gpu"]
    assert f"--nnodes={pods}" in container["command"]
    assert f"--nproc-per-node={gpus}" in container["command"]
    name = job["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert f"--rdzv-endpoint={name}-0.{service['metadata']['name']}:29500" in container["command"]
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"]


def test_the_tables_are_those_of_the_simulator() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
    assert text.index(BEGIN) < text.index(END)
