"""Pairs out of Debian: package descriptions joined by language, and help pages joined by paragraph."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from core.data.config import DataConfig
from core.data.debian import Description
from core.data.sources import read_records
from core.record import SPLITS
from tasks.translation import TASK
from tasks.translation.debian import Page, description_pairs, help_pairs


def described(language: str, synopsis: str, *paragraphs: str) -> Description:
    return Description("tool", "tools", "0123456789", language, synopsis, paragraphs)


def test_descriptions_are_paired_by_sentence_where_both_have_as_many() -> None:
    ours = described("en", "a tool", "It cuts. It glues.", "One. Two.", "kept", "first\n second")
    theirs = described("de", "ein Werkzeug", "Es schneidet. Es klebt.", "Eins und zwei.", "<trans>", "a\n b")
    pairs = list(description_pairs([ours, theirs], "en", "de", Counter()))
    assert [(one.source, one.target) for one in pairs] == [
        ("a tool", "ein Werkzeug"),
        ("It cuts.", "Es schneidet."),
        ("It glues.", "Es klebt."),
        ("One. Two.", "Eins und zwei."),
    ]
    assert {one.component for one in pairs} == {"tools"}
    assert len({one.path for one in pairs}) == 4


def test_bodies_of_other_lengths_are_left_out_and_counted() -> None:
    dropped: Counter[str] = Counter()
    both = [described("en", "a", "b.", "c."), described("de", "x", "y.")]
    assert [one.source for one in description_pairs(both, "en", "de", dropped)] == ["a"]
    assert list(dropped.values()) == [1]


def test_help_pages_are_read_by_paragraph() -> None:
    page = Page()
    page.feed(
        '<h1 id="hd_id1">Open &amp;\n close</h1><p>no id</p><p id="par_id2">Press <b>this</b> <img alt="x"></p>'
        '<p id="par_id2">again</p><p id="bm_id3">a mark</p>'
    )
    assert page.texts == {"hd_id1": "Open & close", "par_id2": "Press this"}
    other = {"a.html": {"par_id2": "Drück das", "par_id9": "allein"}}
    pairs = list(help_pairs({"a.html": page.texts, "b.html": {"par_id2": "elsewhere"}}, other))
    assert [(one.component, one.path, one.source, one.target) for one in pairs] == [
        ("a.html", "par_id2", "Press this", "Drück das")
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
@pytest.mark.parametrize("source", ["debian", "libreoffice"])
def test_the_real_ones_have_thousands_and_no_test_source_in_train(source: str) -> None:
    read = {
        split: read_records(TASK, TASK.config(), DataConfig(source=source), split).records  # pyright: ignore
        for split in SPLITS
    }
    assert len(read["train"]) > 20_000
    seen = {record.source.casefold() for record in read["train"]}
    for split in SPLITS[1:]:
        assert len(read[split]) > 500
        assert not [record.source for record in read[split] if record.source.casefold() in seen]
