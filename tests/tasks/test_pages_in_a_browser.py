"""The report of each domain in headless Chromium: it loads nothing, nothing sticks out, all is legible, its own pictures are there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.cli import dispatch
from core.testing.browser import Browser, browsing, program
from tasks import TASKS
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(program() is None, reason="no chromium here: apt-get install chromium"),
]
HEADINGS = [
    *("Scores", "Examples", "Settings", "Data", "Learning", "Attention", "Attention entropy"),
    *("Exposure bias", "Calibration", "Search", "Errors", "Cost"),
]
OWN = {
    "translation": (".links svg line", ".links svg text"),
    "summarization": (".domain mark", ".domain ins"),
    "speech_to_text": (".domain svg polygon", ".domain svg image", ".domain dd"),
    "protein_alignment": (".domain td[style*='--much']", ".domain tr.bars i", ".domain tr.sure"),
    "code_synthesis": (".domain pre .k", ".domain pre .n", ".domain td.passed, .domain td.failed"),
    "reaction_prediction": (".domain td svg path", ".domain td.number"),
}
"""What a field looks for in its examples."""
CHARTS = ("Loss per target token", "Throughput", "train: length of the source", "dev: length of the target")
SMALL = (
    *("model.width=32", "model.heads=2", "model.inner=64", "model.encoder_layers=1", "model.decoder_layers=1"),
    *(
        "batch.tokens=1024",
        "train.steps=60",
        "train.evaluate_every=60",
        "train.evaluate_records=4",
        "train.final_records=4",
    ),
)
LEGIBLE = 3.0
"""The least contrast of WCAG 2 for letters that are large or bold, and for what is drawn."""
CONTRASTS = """(() => {
  const parsed = text => { const n = text.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
    const rgb = n.slice(0, 3).map(x => text.startsWith("color(") ? 255 * x : x); return [...rgb, n[3] ?? 1] };
  const over = (top, below) => [0, 1, 2].map(n => top[3] * top[n] + (1 - top[3]) * below[n]);
  const light = rgb => rgb.map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
    .reduce((sum, x, n) => sum + x * [.2126, .7152, .0722][n], 0);
  const ground = one => { const all = []; for (; one; one = one.parentElement) all.push(getComputedStyle(one).backgroundColor);
    return all.reverse().map(parsed).reduce((below, top) => over(top, below), [255, 255, 255]) };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) { const one = texts.currentNode.parentElement, words = texts.currentNode.data.trim();
    if (!words || !one.getClientRects().length || one.closest("style, title")) continue;
    const style = getComputedStyle(one), svg = one.closest("svg"), below = ground(one);
    const ink = parsed(svg ? style.fill : style.color); ink[3] *= svg ? +style.opacity : 1;
    const [a, b] = [light(over(ink, below)), light(below)];
    found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), words.slice(0, 40), one.tagName + "." + one.getAttribute("class")]) }
  return found.sort((x, y) => x[0] - y[0]) })()"""
"""[contrast, words, element] of every text that is shown, the faintest first."""
SQUEEZED = """[...document.querySelectorAll("#examples .domain svg")].filter(one =>
  one.getBoundingClientRect().width < Math.min(200, parseFloat(one.getAttribute("width")) || 200)).length"""
"""Drawings that are shown smaller than can be seen, though they are larger themselves."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = program()
    assert found is not None
    with browsing(found, tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module", params=list(OWN))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A domain, and the page of a model of its smallest config that has learned a little."""
    name: str = request.param
    run, config = tmp_path_factory.mktemp(name) / "run", str(ROOT / f"configs/{name}/tiny.toml")
    with pytest.MonkeyPatch.context() as without:
        without.setitem(sys.modules, "matplotlib", None)  # files of pictures are another test's
        assert dispatch("train", lambda: TASKS[name], name, [config, *SMALL, "--run", str(run)]) == 0
        assert dispatch("report", lambda: TASKS[name], name, [str(run), "--records", "20", "--seconds", "2"]) == 0
    return name, run / "report.html"


def count(browser: Browser, selector: str) -> int:
    """Elements that take some room."""
    return browser.says(
        f"[...document.querySelectorAll({json.dumps(selector)})].filter(one => one.getClientRects().length).length"
    )


def inner_texts(browser: Browser, selector: str) -> list[Any]:
    return browser.says(f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent)")


def test_every_part_of_a_report_is_there_and_nothing_is_loaded(browser: Browser, page: tuple[str, Path]) -> None:
    name, path = page
    browser.looks(1280)
    browser.open(path)
    assert browser.loaded == [path.as_uri()]
    assert path.stat().st_size < 5_000_000
    assert inner_texts(browser, "body > section > h2") == HEADINGS
    for selector in OWN[name]:
        assert count(browser, f"#examples :is({selector})"), selector
    titles = inner_texts(browser, "svg > title")
    assert set(CHARTS) <= set(titles)


@pytest.mark.parametrize(
    ("width", "dark", "phone"), [(1280, False, False), (1280, True, False), (390, True, True), (390, False, True)]
)
def test_it_is_legible_and_nothing_sticks_out(
    browser: Browser, page: tuple[str, Path], width: int, dark: bool, phone: bool
) -> None:
    from PIL import Image

    browser.looks(width, dark=dark, phone=phone)
    browser.open(page[1])
    assert browser.says("innerWidth") == width, "a phone widens a page in which something sticks out"
    assert browser.says("document.documentElement.scrollWidth") <= width
    assert [one for one in browser.says(CONTRASTS) if one[0] < LEGIBLE] == []
    assert browser.says(SQUEEZED) == 0
    with Image.open(BytesIO(browser.picture())) as shown:
        counts = np.bincount(np.asarray(shown.convert("L")).ravel(), minlength=256)
    assert np.count_nonzero(counts) > 20, "an empty page"
    ground = int(counts.argmax())
    assert ground < 60 if dark else ground > 200
