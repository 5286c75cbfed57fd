"""How fields look at one answer: what stands in a report, well-formed, escaped, and true to the record."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from xml.etree import ElementTree

import numpy as np
import pytest

from core.data.config import DataConfig
from core.jail import NoJail, jail
from core.record import Hypothesis, Prediction, Record
from core.report.examples import example
from core.report.links import linked
from core.report.words import Aligned
from tasks import TASKS
from tasks.code_synthesis.page import coloured
from tasks.code_synthesis.page import present as program
from tasks.protein_alignment.colours import CLASSES, DARK, luminance, reads_black
from tasks.speech_to_text.page import averaged, mel
from tasks.speech_to_text.page import present as recording
from tasks.speech_to_text.words import Segment, Word
from tasks.summarization.page import copied, marked

TESTS = {"examples": [["solve(2)", "4"]], "tests": [["solve(3)", "6"], ["solve(0)", "1"]]}
HOSTILE = "</pre><script>alert(1)</script>"


def well_formed(page: str) -> ElementTree.Element:
    """As XML, which every part of a page is."""
    return ElementTree.fromstring(f"<div>{page}</div>")


def answer(record: Record, output: str) -> Prediction:
    return Prediction(record, (Hypothesis(output, -1.0),))


def test_a_program_stands_in_colour_with_each_of_its_tests() -> None:
    record = Record("1", f"double it {HOSTILE}", "", TESTS)
    page = program(answer(record, "def solve(n):\n    return n * 2  # twice"))
    text = "".join(well_formed(page).itertext())
    assert HOSTILE in text
    assert "def solve(n):\n    return n * 2  # twice" in text
    assert '<span class="k">def</span>' in page
    assert '<span class="c"># twice</span>' in page
    try:
        jail(memory_mib=512, seconds=5.0)
    except NoJail:
        assert "tests were not run" in text
        return
    assert "given examples: 1 of 1 passed" in text
    assert "hidden tests: 1 of 2 passed" in text
    hidden = page[page.index("hidden tests") :]
    assert re.findall(r'<td class="(\w+)">', hidden) == ["failed", "passed"], "what failed comes first"
    assert "solve(0)" in hidden


@pytest.mark.parametrize(
    "code", ["SELECT a FROM b WHERE c = 'd' -- e", "x = 'it''s' if y else f\"{z}\"", "a # b", "<&>'", ""]
)
def test_colours_change_no_letter(code: str) -> None:
    assert "".join(well_formed(coloured(code)).itertext()) == code
    assert ('<span class="k">SELECT</span>' in coloured(code)) == code.startswith("SELECT")


def test_a_recording_has_its_wave_its_spectrogram_and_its_words() -> None:
    task = TASKS["speech_to_text"]
    (record,) = islice(task.sources["tones"](task.config(), DataConfig(), "dev"), 1)
    long = record.source.seconds
    words = (Word("one", 0.0, long / 2, 0.9), Word("<two>", long / 2, long, 0.8))
    heard = replace(record, meta={**record.meta, "segments": (Segment(0.0, long, "one <two>", words),)})
    page = recording(answer(heard, f"{record.target} more"))
    found = well_formed(page.replace("xmlns=", "data-xmlns="))
    assert len(list(found.iter("polygon"))) == 1
    assert len(list(found.iter("image"))) == 1
    texts = [one.text for one in found.iter("text")]
    assert {"one", "<two>"} <= set(texts)
    assert "0 s" in texts
    assert [text for text in texts if text and text.endswith("kHz")] == ["1 kHz", "2 kHz", "4 kHz"]
    assert (mel(1000), mel(6400)) == (15, 42), "Slaney's scale"
    assert [one.text for one in found.iter("ins")] == ["more"]
    silent = recording(answer(Record("1", "no recording at all"), ""))
    assert "no picture" in silent
    well_formed(silent)


def test_frames_that_share_a_pixel_are_averaged() -> None:
    values_SF = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(averaged(values_SF, 3), [[1, 2], [5, 6], [9, 10]])
    assert averaged(values_SF, 6) is values_SF


def test_copied_spans_are_the_longest_ones() -> None:
    ours, theirs = copied("Big red cat sat, red", "the red cat SAT; a big dog")
    assert ours == [range(0, 1), range(1, 4), range(4, 5)]
    assert theirs == [range(1, 4), range(5, 6)]
    assert marked("Big red cat sat, blue", ours[:2], new=True) == (
        "<mark>Big</mark> <mark>red cat sat</mark>, <ins>blue</ins>"
    )
    assert (
        marked("the red cat SAT; a big dog", theirs, new=False)
        == "the <mark>red cat SAT</mark>; a <mark>big</mark> dog"
    )
    assert copied("", "a") == ([], [])


def test_a_reference_alignment_shows_which_of_its_columns_were_found() -> None:
    from tasks.protein_alignment.page import places, reference

    assert places(("AC-D", "A-CD")) == [(1, 1), (2, 0), (0, 2), (3, 3)]
    record = Record("1", ("ACD", "ACD"), "ACD\nACD", {"names": ("<one>", "two")})
    page = reference(answer(record, "AC-D\nA-CD"))
    found = well_formed(page)
    assert "2 of 3 columns found" in "".join(found.itertext())
    bars = [row for row in found.iter("tr") if row.get("class") == "bars sure"]
    assert [one.get("style") for row in bars for one in row.iter("i")] == ["height:100%", "height:0%", "height:100%"]
    assert reference(answer(replace(record, target="3M"), "ACD\nACD")) == "", "told as text"


def test_letters_can_be_read_on_every_colour_of_an_alignment_dark_and_light() -> None:
    for name, (_, hue) in CLASSES.items():
        own = bytes.fromhex(hue[1:])
        for much in np.linspace(0.35, 1, 27).tolist():
            for ground, ink in (((245, 246, 248), (29, 31, 35)), (DARK, (231, 233, 236))):
                below = luminance([much * a + (1 - much) * b for a, b in zip(own, ground, strict=True)])
                letter = luminance((0, 0, 0) if reads_black(name, much) else ink)
                contrast = (max(letter, below) + 0.05) / (min(letter, below) + 0.05)
                assert contrast > 3.9, (name, much, ground)


def test_a_reference_reaction_is_drawn_and_marked_among_the_answers() -> None:
    pytest.importorskip("rdkit")
    from tasks.reaction_prediction.page import present, reference, section

    record = Record("1", "CC(=O)OCC", "OCC.CC(=O)O", {"direction": "retro"})
    answers = (Hypothesis("CCO.CC(O)=O", -1.0), Hypothesis("CCCl.CC(=O)O", -2.0))
    page = section(Prediction(record, answers))
    rows = page.split("<tr>")[2:]
    assert ["the reference" in row for row in rows] == [True, False]
    shown = reference(Prediction(record, answers))
    assert "<svg" in shown
    assert "CC(=O)O.CCO" in shown
    assert "the reference" not in section(Prediction(replace(record, target=None), answers))
    unread = reference(Prediction(replace(record, target="<no>"), answers))
    assert "<svg" not in unread
    assert "&lt;no&gt;" in unread
    whole = example(Prediction(record, answers), "", present, reference)
    assert whole.count("<svg") == 3
    late = (*(Hypothesis(f"{'C' * n}Cl.CC(=O)O", -float(n)) for n in range(2, 8)), answers[0])
    few = present(Prediction(record, late))
    assert re.findall(r'<td class="number">(\d)</td>', few) == ["1", "2", "3", "7"], (
        "the right one is shown at any rank"
    )
    assert "3 further answers are not shown" in few
    assert "<dt>reference</dt>" not in whole


def test_words_are_linked_to_those_they_were_read_for() -> None:
    weight_MN = np.array([[0.05, 0.95], [0.5, 0.5]])
    drawn = well_formed(linked(Aligned(("<the>", "cat"), ("Katze", "猫"), weight_MN)).replace("xmlns=", "data-xmlns="))
    assert [one.text for one in drawn.iter("text")] == ["<the>", "cat", "Katze", "猫"]
    assert len(list(drawn.iter("line"))) == 3, "faint ones are left out"
    assert linked(Aligned((), ("a",), np.zeros((1, 0)))) == ""
    assert linked(Aligned(("a",) * 61, ("a",), np.zeros((1, 61)))) == ""
    record = Record("1", "a b", "c d", {"aligned": Aligned(("a", "b"), ("c", "d"), np.eye(2))})
    assert '<div class="links">' in example(answer(record, "c d"), "", None)
