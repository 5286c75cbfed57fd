"""Code: what the most candidates do wins over what the most probable one says."""

import math
import sqlite3
from pathlib import Path

import pytest

from core.decode.utility import by_expected_utility
from core.record import Hypothesis, Prediction, Record
from tasks.code_synthesis import running
from tasks.code_synthesis.agreeing import utilities
from tasks.code_synthesis.config import CodeConfig

DOUBLE, ADDED, SQUARE = (f"def solve(x):\n    return {body}" for body in ("2 * x", "x + x", "x * x"))
BROKEN = "def solve(x):\n    return x +"
EXAMPLES = [["solve(5)", "10"], ["solve(2)", "4"], ["solve(0)", "0"]]


def there_is_a_jail() -> bool:
    from core.jail import NoJail

    try:
        running.the_jail(CodeConfig().memory, 5.0)
    except NoJail:
        return False
    return True


jailed = pytest.mark.skipif(not there_is_a_jail(), reason="generated code cannot be contained here")


def believed(likely: dict[str, float], **meta: object) -> Prediction:
    found = tuple(Hypothesis(text, math.log(p), logp=(math.log(p),)) for text, p in likely.items())
    return Prediction(Record("1", "double it", DOUBLE, meta), found)


def decided(cfg: CodeConfig, prediction: Prediction) -> list[tuple[str, float]]:
    (utility,) = utilities(cfg, [prediction])
    return [(one.output, one.score) for one in by_expected_utility(prediction.hypotheses, utility, drawn=False)]


@jailed
def test_programs_agree_where_they_do_the_same() -> None:
    found = believed({SQUARE: 0.4, DOUBLE: 0.3, ADDED: 0.2, BROKEN: 0.1}, examples=EXAMPLES)
    (utility,) = utilities(CodeConfig(seconds=5), [found])
    assert utility(DOUBLE, ADDED) == 1
    assert utility(DOUBLE, SQUARE) == utility(SQUARE, DOUBLE) == pytest.approx(2 / 3)  # 0 and 2, not 5
    assert utility(BROKEN, BROKEN) == 1
    assert utility(BROKEN, DOUBLE) == 0
    ranked = decided(CodeConfig(seconds=5), found)
    assert ranked[0] == (DOUBLE, pytest.approx(0.3 + 0.2 + 0.4 * 2 / 3))
    assert ranked[-1][0] == BROKEN


@jailed
def test_expected_values_have_no_say() -> None:
    """A record whose examples expect what no program gives is decided as any other."""
    wrong = [[call, "'no such value'"] for call, _ in EXAMPLES]
    likely = {SQUARE: 0.4, DOUBLE: 0.3, ADDED: 0.3}
    cfg = CodeConfig(seconds=5)
    assert decided(cfg, believed(likely, examples=wrong)) == decided(cfg, believed(likely, examples=EXAMPLES))


@jailed
def test_exceptions_agree_with_nothing() -> None:
    one, other = (f"def solve(x):\n    raise ValueError({text!r})" for text in "ab")
    (utility,) = utilities(CodeConfig(seconds=5), [believed({one: 0.5, other: 0.5}, examples=EXAMPLES)])
    assert utility(one, other) == 0


def test_without_inputs_equal_forms_agree() -> None:
    spaced = "def solve(x):\n        return 2*x"
    found = believed({SQUARE: 0.4, DOUBLE: 0.35, spaced: 0.25})
    assert decided(CodeConfig(), found)[0] == (DOUBLE, pytest.approx(0.6))
    (utility,) = utilities(CodeConfig(language="regex"), [believed({"a|b": 0.5, "[ab]": 0.5})])
    assert utility("a|b", "[ab]") == 1
    assert utility("a|b", "ab") == 0


def test_queries_agree_where_their_rows_do(tmp_path: Path) -> None:
    path = tmp_path / "towns.sqlite"
    with sqlite3.connect(path) as data:
        data.execute("create table town (name text, people integer)")
        data.executemany("insert into town values (?, ?)", [("Ulm", 126), ("Köln", 1080)])
    big, same, all_of_them = (
        "select name from town where people > 500",
        "select name from town where people >= 1000",
        "select name from town",
    )
    found = believed({all_of_them: 0.4, big: 0.3, same: 0.2, "select nothing": 0.1})
    ranked = decided(CodeConfig(language="sql", database=str(path)), found)
    assert ranked[0] == (big, pytest.approx(0.5))
    assert dict(ranked)["select nothing"] == pytest.approx(0.1)
