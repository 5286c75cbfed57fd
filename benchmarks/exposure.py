"""`python -m benchmarks.exposure TASK [CONFIG] [key=value ...] [--variants ...]`: what exposure bias costs, and what training does to it.

Trains the config four times, with teacher forcing, scheduled sampling, label smoothing and both, and compares the four on
dev: confidence after right prefixes and after the model's own, accuracy and the metric against the share of the prefix that
was replaced, calibration. Writes benchmarks/results/TASK/exposure.txt (exposure-NAME.txt of a CONFIG that is named), which the
documentation shows. A training that is there already is taken as it is; one that was broken off goes on. `--variants` takes
some of the four.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import record

FORCED, SAMPLED = "train.forcing=always", "train.forcing=linear"
VARIANTS: dict[str, tuple[str, ...]] = {
    "teacher-forcing": (FORCED, "train.label_smoothing=0.0"),
    "scheduled-sampling": (SAMPLED, "train.label_smoothing=0.0"),
    "label-smoothing": (FORCED, "train.label_smoothing=0.1"),
    "both": (SAMPLED, "train.label_smoothing=0.1"),
}
"""The first is what the others are set against."""


def measure(
    task: str,
    config: Path,
    runs: Path,
    also: Sequence[str] = (),
    name: str = "exposure",
    variants: Sequence[str] = tuple(VARIANTS),
) -> None:
    """Train what is missing, compare, keep what was printed; `also` are settings of all variants."""
    session = record.Session()
    folders = [runs / one for one in variants]
    for folder in folders:
        settings = VARIANTS[folder.name]
        if (folder / "metrics.json").exists():
            continue
        words = ["train.report=false", *also, *settings, "--run", folder, *(["--resume"] if folder.exists() else [])]
        shown = f"python -m tasks train {task} {record.inside(config)} {' '.join(map(str, words))}"
        session.run("train", shown, [f"tasks.{task}.train", config, *words], keep=False)
    page = runs / "exposure.html"
    shown = f"python -m tasks compare {task} {' '.join(variants)} --output {page.name}"
    session.run("compare", shown, [f"tasks.{task}.compare", *folders, "--output", page])
    told = "; ".join(
        [" ".join([str(record.inside(config)), *also]), *(f"{of}: {' '.join(VARIANTS[of])}" for of in variants)]
    )
    lines = [line.replace(f"{runs}/", "") for line in session.parts["compare"]]
    results = record.RESULTS / task
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.txt").write_text("\n".join([f"# {told}", *lines]).rstrip("\n") + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exposure", description=__doc__)
    parser.add_argument("task", help="a task's name")
    parser.add_argument("words", nargs="*", metavar="CONFIG | key=value", help="default: configs/TASK/tiny.toml")
    parser.add_argument("--runs", type=Path, help="where its runs are kept; default: runs/exposure/TASK/NAME")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=tuple(VARIANTS),
        default=tuple(VARIANTS),
        help="the first of them is what the others are set against; default: all",
    )
    given = parser.parse_args(argv)
    also = [word for word in given.words if "=" in word]
    named = [Path(word) for word in given.words if "=" not in word]
    if len(named) > 1:
        parser.error(f"{named[1]}: one CONFIG at a time")
    config = (named[0] if named else record.ROOT / "configs" / given.task / "tiny.toml").resolve()
    if not config.is_file():
        parser.error(f"{config}: no such file")
    runs: Path = given.runs or record.ROOT / "runs" / "exposure" / given.task / config.stem
    runs.mkdir(parents=True, exist_ok=True)
    if len(given.variants) < 2:
        parser.error(f"--variants {given.variants[0]}: two or more are compared")
    measure(given.task, config, runs, also, f"exposure-{config.stem}" if named else "exposure", given.variants)
    for page in record.pages():
        if record.fill(page):
            print(f"{page.relative_to(record.ROOT)}: renewed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
