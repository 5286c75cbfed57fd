"""`python -m benchmarks.record TASK [CONFIG]`: train, evaluate on test, answer, refuse; keep what was printed, and show it in the docs.

Writes benchmarks/results/TASK/NAME.json (the scores), NAME.run.json (what they cost, where) and NAME.txt (the session as typed).
Blocks of the documentation that follow a line `<!-- benchmarks/results/TASK/NAME.txt -->` hold that file; `--fill` renews them all.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config_toml import load
from core.data.sources import read_records
from core.data.split import hashed_share
from core.record import Record
from core.run.card import sources
from core.settings import run_config
from tasks import TASKS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BAD = ROOT / "benchmarks" / "bad_inputs"
ANSWERS = 3
PARTS = ("train", "evaluate", "predict", "refuse")
MARK = re.compile(
    r"^<!-- (benchmarks/results/[\w/.-]+\.txt)(?::(\w+))? -->\n```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL
)


@dataclass
class Session:
    """What was typed and what came back."""

    parts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Lines of each part: train, evaluate, predict, refuse."""
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def run(self, part: str, shown: str, words: Sequence[str | Path], expected: int = 0, *, keep: bool = True) -> str:
        """One command, shown to whoever waits and kept; another exit code than expected ends all."""
        begun = time.perf_counter()
        lines: list[str] = []
        command = [sys.executable, "-m", *map(str, words)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stderr.write(line)
                lines.append(line.rstrip("\n"))
        if process.returncode != expected:
            raise SystemExit(f"{shlex.join(command)}: exit {process.returncode}, expected {expected}")
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - begun
        if keep:
            told = [f"(exit {expected})"] if expected else []
            self.parts.setdefault(part, []).extend([f"$ {shown}", *lines, *told, ""])
        return "\n".join(lines)

    def text(self) -> str:
        """The whole session, the parts in order."""
        return "\n".join(f"# {part}\n" + "\n".join(lines) for part, lines in self.parts.items())


def record(name: str, config: Path, run: Path, by: str = "", again: Sequence[str] = ()) -> None:
    """All four parts, and the three files; scores are broken down `by` a bin of the task, where one is named.

    `again` names the parts to be done once more by a run that is recorded; the others stay as they were.
    """
    results = RESULTS / name
    results.mkdir(parents=True, exist_ok=True)
    json_path = results / f"{config.stem}.json"
    session = recorded(results / config.stem, again) if again else Session()
    parts = again or PARTS
    here, settings = inside(run), inside(config)
    shown_config = f" {settings}" if config.stem != "default" else ""
    if "train" in parts:
        train(session, name, run, f"{shown_config} --run {here}", config)
    if "evaluate" in parts:
        session.run(
            "evaluate",
            f"python -m tasks.{name}.evaluate {here} --split test{f' --by {by}' if by else ''}",
            [f"tasks.{name}.evaluate", here, "--split", "test", "--json", json_path, *(["--by", by] if by else [])],
        )
    if "predict" in parts:
        ask(session, name, run)
    bad_files = sorted((BAD / name).iterdir()) if (BAD / name).is_dir() and "refuse" in parts else ()
    for bad in bad_files:
        place = inside(bad)
        session.run(
            "refuse", f"python -m tasks.{name}.predict {here} {place}", [f"tasks.{name}.predict", here, place], 3
        )
    (results / f"{config.stem}.txt").write_text(session.text())
    (results / f"{config.stem}.run.json").write_text(json.dumps(cost(run, session), indent=1) + "\n")


def recorded(stem: Path, again: Sequence[str]) -> Session:
    """What was kept of a session, without the parts that are done again."""
    texts = sections(stem.with_name(f"{stem.name}.txt").read_text() + "\n")
    seconds: dict[str, float] = json.loads(stem.with_name(f"{stem.name}.run.json").read_text())["wall_seconds"]
    session = Session(seconds={part: value for part, value in seconds.items() if part not in again})
    for part in PARTS:  # in this order, whichever are done again
        session.parts[part] = [] if part in again else texts.get(part, "").removesuffix("\n").split("\n")
    return session


def train(session: Session, name: str, run: Path, shown: str, config: Path) -> None:
    """A run that is trained already is taken as it is."""
    here = inside(run)
    if not (run / "metrics.json").exists():
        session.run(
            "train",
            f"python -m tasks.{name}.train{shown}",
            [f"tasks.{name}.train", config, "--run", here, *(["--resume"] if run.exists() else [])],
        )
        if private(name, run):
            session.parts["train"] = without_samples(session.parts["train"])


def ask(session: Session, name: str, run: Path) -> None:
    """Some test records, answered."""
    here = inside(run)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.jsonl"
        inputs.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in asked(name, run)))
        answers = session.run(
            "predict",
            "",
            [f"tasks.{name}.predict", here, inputs, "--format", "jsonl"],
            keep=False,
        )
        shown = [line for line in answers.splitlines() if line.startswith("{")]
        session.parts["predict"] = list(told(shown, [json.loads(line) for line in inputs.read_text().splitlines()]))
    if why := private(name, run):
        session.parts["predict"] = [why, ""]


def private(name: str, run: Path) -> str:
    """Why no text of a record may be kept; nothing where the licence of the data is known to allow it."""
    task = TASKS[name]
    found = sources(task, load(run_config(task.config), run / "config.toml", ()).config)
    unknown = [source for source in found if source not in task.licences]
    return f"(texts of `{unknown[0]}` are not kept: nothing is known of their licence)" if unknown else ""


def without_samples(lines: Sequence[str]) -> list[str]:
    """What a training prints, but for the records that it shows at its end."""
    return [line for line in lines if not line.startswith(("  source  ", "  target  ", "  output  "))]


def inside(path: Path) -> Path:
    """As a user in the repository would name it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def asked(name: str, run: Path) -> list[dict[str, Any]]:
    """The test records whose keys have the lowest hashes: nobody chose them."""
    task = TASKS[name]
    cfg = load(run_config(task.config), run / "config.toml", ()).config
    found = sorted(read_records(task, cfg.task, cfg.data, "test").records, key=lambda one: hashed_share(one.key))
    return [
        {"id": one.key, "source": getattr(one.source, "value", one.source), "shown": shown(one), "target": one.target}
        for one in found[:ANSWERS]
    ]


def shown(record: Record) -> Any:
    """A source as a reader is to see it: a file by its name, wherever it lies here."""
    return str(record.source) if hasattr(record.source, "value") else record.source


def told(answers: Sequence[str], inputs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Source, reference and output of each."""
    for line, given in zip(answers, inputs, strict=True):
        yield f"source  {as_shown(given['shown'])}"
        yield f"target  {as_shown(given['target'])}"
        yield f"output  {as_shown(json.loads(line)['output'])}"
        yield ""


def as_shown(value: Any) -> str:
    """Text as it is, several lines indented; anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\n", "\n        ")


def cost(run: Path, session: Session) -> dict[str, Any]:
    """Minutes and hardware."""
    facts, metrics = (json.loads((run / name).read_text()) for name in ("run.json", "metrics.json"))
    return {
        "training_minutes": metrics["minutes"],
        "steps": metrics["step"],
        "wall_seconds": {part: round(seconds, 1) for part, seconds in session.seconds.items()},
        "parameters": facts["parameters"],
        "seed": facts["seed"],
        "environment": facts["environment"],
    }


def fill(page: Path) -> bool:
    """Renew a page's blocks; True if that changed it."""
    text = page.read_text()
    new = MARK.sub(lambda match: renewed(match[1], match[2]), text)
    if new != text:
        page.write_text(new)
    return new != text


def renewed(name: str, part: str | None) -> str:
    """The block that a mark asks for: the whole session, or a part of it."""
    content = (ROOT / name).read_text()
    if part is not None:
        found = sections(content)
        if part not in found:
            raise SystemExit(f"{name} has no part {part}; it has {', '.join(found)}")
        content = shortened(found[part].strip("\n") + "\n")
    mark = f"{name}:{part}" if part else name
    return f"<!-- {mark} -->\n```text\n{content}```\n"


def sections(content: str) -> dict[str, str]:
    """The parts of a session that was kept."""
    return dict(
        re.findall(
            rf"^# ({'|'.join(PARTS)})\n(.*?)(?=^# (?:{'|'.join(PARTS)})\n|\Z)", content, re.MULTILINE | re.DOTALL
        )
    )


def shortened(content: str) -> str:
    """Long stretches of progress lines: their first and last two."""
    lines = content.splitlines(keepends=True)
    steps = [number for number, line in enumerate(lines) if line.startswith("step ")]
    if len(steps) > 6:
        lines[steps[2] : steps[-2]] = ["...\n"]
    return "".join(lines)


def pages() -> list[Path]:
    """All documentation that may show results."""
    return [path for pattern in ("*.md", "docs/**/*.md", "tasks/*/README.md") for path in sorted(ROOT.glob(pattern))]


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    parser.add_argument("task", nargs="?", help="a task's name")
    parser.add_argument("config", nargs="?", type=Path, help="default: configs/TASK/default.toml")
    parser.add_argument("--run", type=Path, help="its run folder, trained already or to be trained")
    parser.add_argument("--by", default="", help="break the scores down by this, as `evaluate --by` does")
    parser.add_argument("--again", action="append", choices=PARTS, default=[], help="only this part of a recorded run")
    parser.add_argument("--fill", action="store_true", help="only renew the blocks of the documentation")
    given = parser.parse_args(argv)
    if given.task:
        if given.task not in TASKS.names():
            parser.error(f"{given.task}: no such task; there are {', '.join(TASKS.names())}")
        config = (given.config or ROOT / "configs" / given.task / "default.toml").resolve()
        if not config.is_file():
            parser.error(f"{config}: no such file")
        record(
            given.task, config, (given.run or ROOT / "runs" / given.task / config.stem).resolve(), given.by, given.again
        )
    elif not given.fill:
        parser.error("name a task, or --fill")
    for page in pages():
        if fill(page):
            print(f"renewed {page.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
