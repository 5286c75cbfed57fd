"""`report` and `compare`: pages that stand alone, with numbers that are the run's own, whatever the records hold."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import sacrebleu

from core.cli import dispatch
from core.data.config import DataConfig, MixedSource
from core.metrics.sacre import bleu
from core.record import Hypothesis, Prediction, Record, Split
from core.report.examples import marked
from core.report.facts import number
from core.report.page import Section, folded, page
from core.report.page import text as text_of
from core.run.card import card
from core.run.folder import RunFolder, read_json
from core.run.scoring import alone, score
from core.run.stored import stored_config
from core.task import Task
from core.testing.toys import TOY
from tasks import TASKS

HEADINGS = [
    *("Scores", "Examples", "Settings", "Data", "Learning", "Attention", "Attention entropy"),
    *("Exposure bias", "Calibration", "Search", "Errors", "Cost"),
]
HOSTILE = '<script>alert("x")</script><img src=//evil.example/p.png onerror=alert(1)>&amp;/' + "unbroken" * 8
CONFIG = """
[task]
longest = 4
train = 40
held_out = 22
[batch]
tokens = 512
[model]
kind = "transformer"
width = 16
heads = 2
inner = 16
encoder_layers = 1
decoder_layers = 2
[train]
steps = 4
evaluate_every = 4
log_every = 2
warmup = 2
[search]
beams = 2
length_ratio = 1.0
length_extra = 2
"""


def hostile(cfg: Any, data: DataConfig, split: Split) -> Iterator[Record]:
    """Toy strings whose keys, and some of whose texts, are markup."""
    for n, record in enumerate(TOY.sources["strings"](cfg, data, split)):
        bad = "<b>&'" if n % 3 == 0 else ""
        yield Record(f"{record.key}{HOSTILE}", record.source + bad, record.target + bad)


def present(prediction: Prediction) -> str:
    """As a task would."""
    return f"<b class='own'>{html.escape(str(prediction.record.source))}</b>"


TASK = replace(
    TOY,
    sources={"hostile": hostile},
    bins={"first <letter>": lambda record: str(record.source)[0]},
    baselines={"copy": lambda train, records: [str(one.source) for one in records]},
)
Typed = Callable[..., tuple[int, str, str]]


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
            self.open.append("")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two hardly trained models, of two seeds."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.toml").write_text(CONFIG)
    for seed in (1, 2):
        words = [str(folder / "toy.toml"), f"seed={seed}", "--run", str(folder / f"seed{seed}")]
        assert dispatch("train", lambda: TASK, "toy", words) == 0
    return folder / "seed1", folder / "seed2"


@pytest.fixture(scope="module")
def reported(runs: tuple[Path, Path]) -> Path:
    """The page of the first."""
    assert dispatch("report", lambda: TASK, "toy", [str(runs[0])]) == 0
    return runs[0] / "report.html"


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Exit code, standard output, standard error."""

    def run_it(verb: str, *words: str | Path, task: Task[Any] = TASK) -> tuple[int, str, str]:
        capsys.readouterr()
        code = dispatch(verb, lambda: task, task.name, [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def stands_alone(text: str) -> None:
    """Nothing is loaded, nothing runs, nothing of a record has become markup."""
    found = Page(text)
    assert "script" not in {tag for tag, _ in found.tags}
    assert not {tag for tag, _ in found.tags} & {"iframe", "object", "embed", "link", "base", "form", "img"}
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href", "srcset", "xlink:href", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    assert not re.search(r"@import|url\(", text)
    assert len(text.encode()) < 5_000_000


def test_a_page_stands_alone_and_has_every_heading(reported: Path) -> None:
    text = reported.read_text(encoding="utf-8")
    stands_alone(text)
    assert Page(text).headings == HEADINGS
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert html.escape(HOSTILE) in text


def test_its_numbers_are_those_of_the_run(reported: Path) -> None:
    text = reported.read_text(encoding="utf-8")
    result = json.loads((reported.parent / "metrics.json").read_text())
    rows = re.findall(r"<td[^>]*>([^<]*)</td>", text)
    for name, one in result["metrics"].items():
        place = rows.index(name)
        assert rows[place + 1] == number(one["value"])
        assert rows[place + 3] == one["signature"]
    facts = json.loads((reported.parent / "run.json").read_text())
    assert f"{facts['parameters']:,}" in text
    assert facts["data"]["train"][:16] in text


def test_every_chart_is_a_picture_of_its_own(reported: Path) -> None:
    pictures = reported.with_suffix("")
    names = {path.stem for path in pictures.glob("*.svg")}
    assert names >= {"loss", "dev-exact-1", "length-train-source", "throughput", "beam-metric", "reliability-tokens"}
    assert names >= {"entropy-layer-1", "entropy-layer-2", "exposure-position", "attention-layer-2-head-2"}
    for path in pictures.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    if find_spec("matplotlib"):
        assert {path.stem for path in pictures.glob("*.png")} == names


def test_a_task_presents_its_answers_and_what_cannot_be_measured_says_why(
    runs: tuple[Path, Path], typed: Typed, tmp_path: Path
) -> None:
    task = replace(TASK, present=present, present_style="b.own { color: red }")
    words = ("--records", "3", "--seconds", "1", "--output", tmp_path / "own.html")
    assert typed("report", runs[0], *words, task=task)[0] == 0
    text = (tmp_path / "own.html").read_text(encoding="utf-8")
    assert ".domain { b.own { color: red } }" in text
    assert "<b class='own'>" in text
    stands_alone(text)
    assert "Not measured: 3 records are too few to fit a temperature on one half and judge it on the other" in text
    assert Page(text).headings == HEADINGS


@pytest.mark.slow  # the section on the search stops after so many seconds, so a starved machine has fewer rows
def test_the_page_is_the_same_each_time(runs: tuple[Path, Path], typed: Typed, tmp_path: Path) -> None:
    def without_times(path: Path) -> str:
        return re.sub(r"\d+(\.\d+)? (s|ms)\b|<td class=n>\d+\.\d</td>(?=</tr>)", "", path.read_text(encoding="utf-8"))

    first, second = tmp_path / "a.html", tmp_path / "b.html"
    for path in (first, second):
        assert typed("report", runs[0], "--records", "12", "--output", path)[0] == 0
    assert without_times(first) == without_times(second)


def test_wrong_words_are_refused(runs: tuple[Path, Path], typed: Typed, tmp_path: Path) -> None:
    assert typed("report", runs[0], runs[1])[0] == 2
    assert typed("report", runs[0], "--records", "0")[2] == "error: --records 0: must be an integer, at least 1\n"
    code, _, said = typed("report", runs[0], "--output", tmp_path / "no" / "x.html")
    assert (code, said) == (2, f"error: --output {tmp_path}/no/x.html: no such folder {tmp_path}/no\n")
    assert typed("compare", runs[0])[2] == "error: compare needs two runs or more, RUN_A and RUN_B, not 1\n"


def test_two_runs_are_compared_record_by_record(runs: tuple[Path, Path], typed: Typed, tmp_path: Path) -> None:
    code, out, _ = typed("compare", *runs, "--output", tmp_path / "both.html")
    assert code == 0
    wins = re.search(r"exact@1, record by record: seed1 (\d+), seed2 (\d+), ties (\d+)", out)
    assert wins is not None
    dev = json.loads((runs[0] / "metrics.json").read_text())["n"]
    assert sum(map(int, wins.groups())) == dev
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    stands_alone(text)
    assert Page(text).headings == [*("Scores", "Wins and losses", "Exposure bias", "Calibration", "Settings", "Cost")]
    assert "<td>seed</td>" in text
    code, out, _ = typed("compare", *runs, "--records", "5")
    assert code == 0
    assert f"toy, dev: 5 of {dev} records of " in out
    wins = re.search(r"exact@1, record by record: seed1 (\d+), seed2 (\d+), ties (\d+)", out)
    assert wins is not None
    assert sum(map(int, wins.groups())) == 5
    code, out, _ = typed("compare", runs[0], runs[0])
    assert code == 0
    assert re.search(rf"\(A\) 0, seed1 \(B\) 0, ties {dev}\n|seed1.* 0, .*seed1.* 0, ties {dev}\n", out)
    assert "neither" in out


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (500, False), (1200, True)], ids=["wide", "phone", "dark"])
def test_a_browser_shows_it(reported: Path, tmp_path: Path, width: int, dark: bool) -> None:
    from PIL import Image

    picture = tmp_path / "page.png"
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path}/own"]
    words += [f"--window-size={width},2000", f"--screenshot={picture}", "--blink-settings=preferredColorScheme=0"][
        : 3 if dark else 2
    ]
    subprocess.run(["chromium", *words, reported.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(picture) as shown:
        pixels = shown.convert("L")
        assert pixels.size == (width, 2000)
        colours = pixels.getcolors(256)
    assert colours is not None
    ground = max(colours)[1]
    assert ground < 60 if dark else ground > 200
    assert len(colours) > 20, "an empty page"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 768])
def test_nothing_sticks_out_of_a_narrow_window(reported: Path, tmp_path: Path, width: int) -> None:
    """A window of chromium is never as narrow as a phone, a frame is; what is wide scrolls in a box of its own."""
    source = html.escape(reported.read_text(encoding="utf-8"))
    script = "onload = () => { const whole = frames[0].document.documentElement; "
    script += "document.title = `${whole.clientWidth} ${whole.scrollWidth}` }"
    frame = f"<iframe style='width: {width}px; height: 900px; border: 0' srcdoc=\"{source}\"></iframe>"
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html><title></title>{frame}<script>{script}</script>")
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/own", "--dump-dom"]
    words += ["--virtual-time-budget=20000", (tmp_path / "frame.html").as_uri()]
    shown = subprocess.run(["chromium", *words], check=True, capture_output=True, timeout=300, text=True).stdout
    sizes = re.search(r"<title>(\d+) (\d+)</title>", shown)
    assert sizes is not None
    there, needed = map(int, sizes.groups())
    assert width - 20 <= there <= width, "but for its bar"
    assert needed <= there


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here: apt-get install chromium")
def test_what_is_folded_is_printed(tmp_path: Path) -> None:
    whole = page("Folded", [], [Section("Long", [folded("closed", "".join(map(text_of, ["word"] * 300)))])])
    (tmp_path / "page.html").write_text(whole)
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/own"]
    words += [f"--print-to-pdf={tmp_path}/page.pdf", (tmp_path / "page.html").as_uri()]
    subprocess.run(["chromium", *words], check=True, capture_output=True, timeout=120)
    pages = re.findall(rb"/Type /Page\b(?!s)", (tmp_path / "page.pdf").read_bytes())
    assert len(pages) > 2


def test_three_runs_are_compared_with_the_first(runs: tuple[Path, Path], typed: Typed, tmp_path: Path) -> None:
    third = shutil.copytree(runs[1], tmp_path / "third")
    code, out, _ = typed("compare", *runs, third, "--output", tmp_path / "three.html")
    assert code == 0
    assert len(re.findall(r"^exact@1, record by record: seed1 ", out, re.MULTILINE)) == 2
    lines = [line.split() for line in out.splitlines()]
    beliefs = [line for line in lines if line[:3] in ([name, "true", "words"] for name in ("seed1", "seed2", "third"))]
    assert len(beliefs) == 3
    assert beliefs[1][1:] == beliefs[2][1:], "the same weights believe the same"
    assert all(float(line[4]) - float(line[5]) == pytest.approx(float(line[6]), abs=2e-3) for line in beliefs)
    text = (tmp_path / "three.html").read_text(encoding="utf-8")
    stands_alone(text)
    assert Page(text).headings[4:] == ["Exposure bias", "Calibration", "Settings", "Cost"]
    assert "Scores: seed1 and third" in text


def test_a_card_says_what_one_must_know(runs: tuple[Path, Path]) -> None:
    said = (runs[0] / "card.md").read_text(encoding="utf-8")
    for words in (
        "* licence of the data: not known to this program",
        "* cost: ",
        '* settings of the task: `what = "copy"`, `letters = 8`, `longest = 4`',
        "* answers: beam of 2, length penalty 1, chosen by score\n",
        "What it is not good for: ",
        "`exact\\|",
    ):
        assert words in said
    for task in TASKS.names():
        own = TASKS[task]
        assert {name for name in own.sources if name not in ("files", "jsonl")} == set(own.licences), task


def test_a_card_tells_limits_of_the_data_that_the_run_was_made_of(runs: tuple[Path, Path]) -> None:
    folder = RunFolder(runs[0])
    config, result, facts = stored_config(TASK, folder), read_json(folder.metrics), read_json(folder.facts)
    known = replace(TASK, limits="Strings are short.", licences={"hostile": "free"})
    said = card(known, config, result, facts)
    assert "Strings are short." in said
    assert "* licence of the data: free\n" in said
    mixed = replace(
        config,
        data=replace(
            config.data, mix=(MixedSource(name="mine", source="files"), MixedSource(name="more", source="builtin"))
        ),
    )
    said = card(known, mixed, result, facts)
    assert "Strings are short." not in said, "who knows what stands in the files"
    assert "what they leave out, it has not learned" in said
    assert "* licence of the data: hostile: free; files: not known to this program" in said
    assert "evil.example" not in said, "which every record has in its key"


@pytest.mark.slow
def test_matplotlib_is_imported_by_figures_alone() -> None:
    code = "import sys, core.run.reporting, core.notebook\nassert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


@pytest.mark.parametrize(
    ("output", "target", "shown"),
    [
        (
            "the new cat, sat",
            "the old cat sat down",
            "the <del>old</del> <ins>new</ins> cat<ins>,</ins> sat <del>down</del>",
        ),
        ("b c", "a b c", "<del>a</del> b c"),
        ("f()", "f(x) ", "f(<del>x</del>)"),
        ("x y", "p q", "<del>p q</del> <ins>x y</ins>"),
        ("Haus", "Maus", "<del>M</del><ins>H</ins>aus"),
        ("a\nb", "a\nc", "a\n<del>c</del>\n<ins>b</ins>"),
        ("<i> b", "<i> b", "&lt;i&gt; b"),
    ],
)
def test_what_was_said_and_what_should_have_been_stand_apart(output: str, target: str, shown: str) -> None:
    assert marked(output, target) == shown


def test_one_right_word_is_no_zero() -> None:
    metric = bleu()
    pairs = (("Haus", "Haus"), ("Haus", "Maus"), ("eins zwei drei vier", "eins zwei drei fünf"))
    predictions = [
        Prediction(Record(str(n), "", target), (Hypothesis(output, 0.0),)) for n, (output, target) in enumerate(pairs)
    ]
    (one,) = score(predictions, [metric], intervals=False).values()
    assert metric.score(one.rows[:1]) == 0.0, "what the formula for a corpus says"
    right, wrong, near = alone(one)
    assert (right, wrong) == (pytest.approx(100.0), 0.0)
    assert near == pytest.approx(sacrebleu.sentence_bleu(pairs[2][0], [pairs[2][1]]).score)
