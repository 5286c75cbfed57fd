"""The committed page in headless Chromium: it sorts and filters; its plots are whole; it is legible light, dark and on a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.leaderboard.pages import pages
from tests.conftest import ROOT
from tests.leaderboard.results import write

pytestmark = pytest.mark.slow
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/leaderboard").glob("*.html"))
SCRIPT = """<script>{BODY
document.body.dataset.said=JSON.stringify(said)}</script></body>"""
"""In a block, whose names are its own."""


@dataclass(frozen=True)
class Browser:
    """A headless Chromium."""

    program: str
    folder: Path

    def run(self, page: str, *words: str) -> str:
        """The page's elements after its scripts ran."""
        file = write(self.folder / "page.html", page)
        command = [self.program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder / 'p'}"]
        done = subprocess.run(
            [*command, *words, file.as_uri()], capture_output=True, text=True, timeout=240, check=True
        )
        return done.stdout

    def says(self, page: str, script: str, *words: str) -> Any:
        """What a script at the end of the page leaves in `said`."""
        shown = self.run(page.replace("</body>", SCRIPT.replace("BODY", script)), "--dump-dom", *words)
        found = re.search(r'data-said="([^"]*)"', shown)
        assert found is not None
        return json.loads(html.unescape(found[1]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Skips where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium")
    return Browser(found, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def page() -> str:
    """As the committed results give it, which another test compares with the committed page."""
    return pages()["leaderboard/index.html"]


def test_it_sorts_by_every_column_and_filters(browser: Browser, page: str) -> None:
    said = browser.says(
        page,
        """
        const table=document.getElementById("all"),head=[...table.tHead.rows[0].cells],said={columns:{},filters:{}};
        const rows=()=>[...table.tBodies[0].rows].filter(one=>one.getClientRects().length);
        head.forEach((one,at)=>{const button=one.querySelector("button"),name=button.textContent;button.click();
         const up=rows().map(row=>row.cells[at].dataset.value),mark=one.getAttribute("aria-sort");button.click();
         said.columns[name]=[up,rows().map(row=>row.cells[at].dataset.value),mark,one.getAttribute("aria-sort")]});
        said.total=rows().length;
        for(const name of ["task","budget","kind"]){const select=document.getElementById(name);
         for(const option of select.options){select.value=option.value;select.dispatchEvent(new Event("input"));
          said.filters[name+"="+option.value]=[rows().length,rows().every(row=>!option.value||row.dataset[name]===option.value),
           document.getElementById("count").textContent]}
         select.value="";select.dispatchEvent(new Event("input"))}
        const words=document.getElementById("words");words.value="TRANSFORMER-copy";words.dispatchEvent(new Event("input"));
        said.words=rows().map(row=>row.cells[0].textContent);""",
    )
    assert said["total"] == page.count("data-task=")
    for name, (up, down, mark, other) in said["columns"].items():
        assert (mark, other) == ("ascending", "descending"), name
        known, reverse = ([value for value in values if value != ""] for values in (up, down))
        assert up[len(known) :] == down[len(known) :] == [""] * (len(up) - len(known)), f"{name}: unknown is last"
        try:
            assert [float(value) for value in known] == sorted(map(float, known)), name
        except ValueError:
            assert [value.lower() for value in known] == sorted(value.lower() for value in known), name
        assert sorted(reverse) == sorted(known)
        assert known == reverse[::-1] or len(set(known)) < len(known)
    for name, (left, fits, count) in said["filters"].items():
        assert fits, name
        assert left > 0, name
        assert count == f"{left} rows"
    by_task = [left for name, (left, *_) in said["filters"].items() if name.startswith("task=") and name != "task="]
    assert sum(by_task) == said["total"]
    assert said["words"]
    assert set(said["words"]) == {"transformer-copy"}


@pytest.mark.parametrize("name", PAGES)
def test_plots_are_whole_and_their_words_do_not_overlap(browser: Browser, name: str) -> None:
    said = browser.says(
        (ROOT / "docs/leaderboard" / Path(name).name).read_text(encoding="utf-8"),
        """
        const said=[...document.querySelectorAll("svg")].map(one=>({title:one.querySelector("title").textContent,
         size:[one.viewBox.baseVal.width,one.viewBox.baseVal.height],
         marks:one.querySelectorAll("rect,circle,polyline").length,
         words:[...one.querySelectorAll("text")].map(text=>{const box=text.getBBox();
          return [text.textContent,box.x,box.y,box.x+box.width,box.y+box.height]})}));""",
    )
    assert said
    for plot in said:
        width, height = plot["size"]
        assert plot["marks"], plot["title"]
        for text, left, top, right, bottom in plot["words"]:
            assert left >= -1, f"{plot['title']}: {text} is cut off"
            assert top >= -1, f"{plot['title']}: {text} is cut off"
            assert right <= width + 1, f"{plot['title']}: {text} is cut off"
            assert bottom <= height + 1, f"{plot['title']}: {text} is cut off"
        pairs = ((one, other) for at, one in enumerate(plot["words"]) for other in plot["words"][at + 1 :])
        for one, other in pairs:
            across = min(one[3], other[3]) - max(one[1], other[1])
            down = min(one[4], other[4]) - max(one[2], other[2])
            assert not (across > 1 and down > 4), f"{plot['title']}: {one[0]} lies on {other[0]}"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_both_schemes(browser: Browser, name: str, scheme: str) -> None:
    said = browser.says(
        (ROOT / "docs/leaderboard" / Path(name).name).read_text(encoding="utf-8"),
        """
        const of=colour=>colour.match(/[\\d.]+/g).map(Number).slice(0,3),paper=of(getComputedStyle(document.body).backgroundColor);
        const said={paper,words:[...document.querySelectorAll("h1,p,td,th button,a,svg text,li")]
         .map(one=>of(getComputedStyle(one)[one.tagName==="text"?"fill":"color"])),
         marks:[...document.querySelectorAll("svg rect,svg circle")].map(one=>of(getComputedStyle(one).fill)),
         ink:[...document.querySelectorAll("svg .ink")].map(one=>of(getComputedStyle(one).stroke))};""",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
    )
    paper = said["paper"]
    assert (sum(paper) > 600) == (scheme == "light")
    assert all(contrast(colour, paper) >= 4.5 for colour in unique(said["words"]))
    assert all(contrast(colour, paper) >= 3 for colour in unique([*said["marks"], *said["ink"]]))


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_scrolls_tables_and_plots_but_not_the_page(browser: Browser, name: str) -> None:
    """A browser window is never as narrow as a phone; a frame is."""
    inside = (ROOT / "docs/leaderboard" / Path(name).name).read_text(encoding="utf-8")
    frame = f'<!doctype html><body><iframe id="phone" width="390" height="800" srcdoc="{html.escape(inside)}"></iframe></body>'
    said = browser.says(
        frame,
        """const said={},phone=document.getElementById("phone");
        phone.addEventListener("load",()=>{const page=phone.contentDocument,root=page.documentElement;
         const wide=[...page.querySelectorAll(".wide,.plot")].filter(one=>one.scrollWidth>one.clientWidth).length;
         const first=page.querySelector("table.sorts td"),box=first.closest(".wide");box.scrollLeft=200;
         document.body.dataset.said=JSON.stringify({page:root.scrollWidth,window:root.clientWidth,wide,
          kept:first.getBoundingClientRect().left-box.getBoundingClientRect().left})});""",
        "--virtual-time-budget=5000",
    )
    assert said["page"] <= said["window"]
    assert said["wide"], "tables and plots scroll by themselves"
    assert abs(said["kept"]) < 2, "the names of systems stay in sight"


def unique(colours: list[list[float]]) -> list[list[float]]:
    """Each once."""
    return [list(one) for one in dict.fromkeys(map(tuple, colours))]


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2's ratio."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: list[float]) -> float:
    """Of sRGB."""
    shares = [value / 255 for value in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
