"""Every code block of the documentation runs: python as one session a page, console line by line, in a copy of the tree.

A block whose first line is `# takes minutes` runs in the slow tier only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "tasks/*/README.md")
    for path in ROOT.glob(pattern)
)
RUN = ("python", "console", "bash")
PLAIN = ("text", "toml", "json", "html")
SLOW = "# takes minutes"
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv", "runs", "build", "*.egg-info", "__pycache__", ".*cache", ".hypothesis"
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    line: int
    """Of its first line of code, counted from 1."""
    code: str

    @property
    def slow(self) -> bool:
        return self.code.lstrip().startswith(SLOW)

    @property
    def commands(self) -> list[str]:
        """What a reader types: lines that begin with `$ `, with those that a backslash continues."""
        joined = re.sub(r"\\\n\s*", "", self.code)
        return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def blocks_of(text: str) -> list[Block]:
    """In order."""
    found: list[Block] = []
    language, begun, lines = "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.match(r"\s*```(.*)$", line)
        if not fence:
            lines.append(line)
        elif begun:
            found.append(Block(language, begun, "\n".join(lines)))
            begun = 0
        else:
            language, begun, lines = fence[1].strip(), number + 1, []
    assert not begun, f"the block at line {begun - 1} is not closed"
    return found


def run_page(page: str, folder: Path, *, slow: bool) -> None:
    """In a copy of the tree, where `python` and `transduce` are ours."""
    blocks = [block for block in blocks_of((ROOT / page).read_text(encoding="utf-8")) if block.language in RUN]
    blocks = [block for block in blocks if block.slow == slow]
    if not blocks:
        pytest.skip("nothing to run")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=LEFT_BEHIND)
    environment = commands_at_hand(folder, tree)
    session: list[Block] = []
    for block in blocks:
        if block.language == "python":
            session.append(block)
            continue
        run_python(page, session, tree, environment)
        session = []
        for command in block.commands:
            run(f"{page}:{block.line}: {command}", ["bash", "-euo", "pipefail", "-c", command], tree, environment)
    run_python(page, session, tree, environment)


def commands_at_hand(folder: Path, tree: Path) -> dict[str, str]:
    """An environment in which `python` is this interpreter and `transduce` is there without being installed."""
    scripts = folder / "bin"
    scripts.mkdir()
    for name, words in (("python", ""), ("transduce", " -m tasks")):
        script = scripts / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join((str(scripts), str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "PYTHONPATH": str(tree)}


def run_python(page: str, session: list[Block], tree: Path, environment: dict[str, str]) -> None:
    """Blocks that follow each other, as one file whose line numbers are the page's."""
    if not session:
        return
    lines: list[str] = []
    for block in session:
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    script = tree.parent / (page.replace("/", "-") + ".py")
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(f"{page}:{session[0].line}", [sys.executable, str(script)], tree, environment)


def run(what: str, command: list[str], tree: Path, environment: dict[str, str]) -> None:
    """Fail with what was said."""
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{what}\nexit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", PAGES)
def test_code_on_a_page_runs(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_slow_code_on_a_page_runs(page: str, tmp_path: Path) -> None:
    run_page(page, tmp_path, slow=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    """A block without a language, or a command without `$ `, would be run by nobody."""
    for block in blocks_of((ROOT / page).read_text(encoding="utf-8")):
        assert block.language in (*RUN, *PLAIN), f"{page}:{block.line}: a block of {block.language!r}"
        if block.language in ("console", "bash"):
            assert block.commands, f"{page}:{block.line}: no line begins with `$ `"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Blocks and code within lines are no prose: in SMILES, say, `](` closes an atom."""
    text = re.sub(r"^\s*```.*?^\s*```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+).+?\1", "", text)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target} leads nowhere"


def test_blocks_are_found_with_their_lines() -> None:
    page = "a\n```python\nx = 1\n```\n```console\n# takes minutes\n$ one \\\n    two\nout\n$ three\n```\n"
    first, second = blocks_of(page)
    assert (first.language, first.line, first.code, first.slow) == ("python", 3, "x = 1", False)
    assert second.slow
    assert second.commands == ["one two", "three"]


def test_make_knows_what_the_readme_names() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\$ make ([a-z-]+)", readme, re.MULTILINE))
    assert {"train", "test"} <= targets
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_table_of_domains_is_that_of_the_cards() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in readme.splitlines() if line.startswith("| `")
    ]
    cards = [TASKS.card(name) for name in sorted(path.parent.name for path in (ROOT / "tasks").glob("*/card.toml"))]
    assert rows == [[f"`{card.name}`", card.summary, card.data, card.metric] for card in cards]
