"""Roman numerals: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord
from core.record import SPLITS
from tasks.roman import TASK, to_roman


def read(value: object) -> object:
    assert TASK.read is not None
    return TASK.read(TASK.config(), value, Path())


@pytest.mark.parametrize(("value", "digits"), [("9", "0009"), (" 1984 ", "1984"), ("00012", "0012"), ("3999", "3999")])
def test_numbers_have_four_digits(value: str, digits: str) -> None:
    assert read(value) == digits


@pytest.mark.parametrize(
    "value", ["0", "0000", "4000", "9" * 10_000, "-1", "1.5", "XII", "", "٣", "²", 12, None, ["1"]]
)
def test_what_has_no_numeral_is_refused(value: object) -> None:
    with pytest.raises(BadRecord):
        read(value)


def test_every_number_is_in_one_split() -> None:
    found = {split: read_records(TASK, TASK.config(), DataConfig(), split).records for split in SPLITS}
    keys = [int(record.key) for records in found.values() for record in records]
    assert sorted(keys) == list(range(1, 4000))
    assert all(record.target == to_roman(int(record.source)) for record in found["test"])
