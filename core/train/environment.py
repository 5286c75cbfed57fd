"""What a run ran on: versions, revision, hardware; and whether a resume can be exact there."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

LIBRARIES = (
    *("torch", "numpy", "safetensors", "tokenizers", "datasets"),
    *("sacrebleu", "rouge-score", "torchaudio", "soundfile", "jiwer", "biopython", "msasim", "rdkit"),
)
"""Whatever of these is installed is named with a run: any of them may change data or scores."""


def describe(device: torch.device, precision: str) -> dict[str, Any]:
    """Plain facts, JSON-able."""
    versions = {"python": platform.python_version()}
    for name in ("transduce", *LIBRARIES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "git": git_revision(),
        "threads": torch.get_num_threads(),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
        "precision": precision,
        "hardware": hardware(),
    }


def git_revision() -> str | None:
    """Of the code that runs, with a + where it was changed; None outside a checkout (or in one of something else)."""
    here = Path(__file__)
    ask = ["git", "-C", str(here.parent)]
    try:
        subprocess.run([*ask, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True)
        revision = subprocess.run([*ask, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*ask, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision.stdout.strip() + ("+" if changed.stdout.strip() else "")


def hardware() -> str:
    """Processor, cores and memory, in words."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory = f", {pages / 2**30:.0f} GiB"
    except (OSError, ValueError):
        memory = ""
    return f"{model}, {os.cpu_count()} cores{memory}"
