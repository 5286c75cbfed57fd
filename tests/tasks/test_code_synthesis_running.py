"""What is run, where, and how it is counted: tests in the jail, queries in a database."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.codec.types import Codecs
from core.errors import BadRecord, ConfigError, MetricSkipped
from core.record import Hypothesis, Prediction, Record
from tasks.code_synthesis import running
from tasks.code_synthesis.choosing import solve
from tasks.code_synthesis.codec import CodeTokenizer
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.metrics import ExecutionAccuracy, PassAt, SameResult, metrics, pass_at
from tasks.code_synthesis.primitives import PRIMITIVES
from tasks.code_synthesis.running import Check, one_test, run_tests
from tasks.code_synthesis.sql import Database
from tasks.code_synthesis.synthetic import generated

CFG = CodeConfig(seconds=5)
DOUBLE = "def solve(x):\n    return 2 * x"
SQUARE = "def solve(x):\n    return x * x"
LOOP = "def solve(x):\n    while True:\n        pass"
TESTS = [["solve(2)", "4"], ["solve(3)", "6"], ["solve('a')", "'aa'"]]
EXAMPLES = [["solve(5)", "10"]]


def there_is_a_jail() -> bool:
    from core.jail import NoJail

    try:
        running.the_jail(CFG.memory, CFG.seconds)
    except NoJail:
        return False
    return True


jailed = pytest.mark.skipif(not there_is_a_jail(), reason="generated code cannot be contained here")


def answered(*outputs: str, **meta: object) -> Prediction:
    record = Record("1", "double it", DOUBLE, meta or {"tests": TESTS})
    return Prediction(record, tuple(Hypothesis(output, -float(n)) for n, output in enumerate(outputs)))


def test_the_estimator_is_that_of_counting_all_choices() -> None:
    from itertools import combinations

    for n in range(1, 7):
        for correct in range(n + 1):
            for k in range(1, n + 1):
                drawn = [any(one < correct for one in chosen) for chosen in combinations(range(n), k)]
                assert pass_at(n, correct, k) == pytest.approx(np.mean(drawn))


@jailed
def test_passing_is_all_tests_and_execution_the_share() -> None:
    predictions = [answered(DOUBLE), answered(SQUARE), answered("def solve("), answered(""), answered()]
    rows = PassAt(CFG).statistics(predictions)
    assert rows[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert PassAt(CFG).score(rows) == pytest.approx(20)
    share = ExecutionAccuracy(CFG).statistics(predictions)
    assert share[:, 0] == pytest.approx([1, 1 / 3, 0, 0, 0])


@jailed
def test_k_answers_are_ranked_or_samples() -> None:
    several = [answered(SQUARE, DOUBLE, "x", "x")]
    assert PassAt(CFG, 1).score(PassAt(CFG, 1).statistics(several)) == 0
    assert PassAt(CFG, 2).score(PassAt(CFG, 2).statistics(several)) == 100
    samples = CodeConfig(seconds=5, attempts="samples")
    for k, wanted in ((1, 25), (2, 50), (4, 100)):
        metric = PassAt(samples, k)
        assert metric.score(metric.statistics(several)) == pytest.approx(wanted)
    with pytest.raises(MetricSkipped, match=r"4 samples; search\.n_best must be 5"):
        PassAt(samples, 5).statistics(several)


@jailed
def test_what_never_ends_or_lies_does_not_pass() -> None:
    cfg = CodeConfig(seconds=1)
    lying = "class A:\n    def __eq__(self, other):\n        return True\ndef solve(x):\n    return A()"
    leaving = "import os\nos._exit(0)"
    verdicts = run_tests(cfg, [(code, (Check("solve(2)", "4"),)) for code in (LOOP, lying, leaving, DOUBLE)])
    assert verdicts == [(False,), (False,), (False,), (True,)]


@jailed
def test_examples_choose_and_hidden_tests_do_not() -> None:
    codec = CodeTokenizer((), (), ())

    def search(records: Sequence[Record]) -> list[Prediction]:
        return [
            Prediction(record, tuple(Hypothesis(code, -float(n)) for n, code in enumerate((SQUARE, DOUBLE, "x"))))
            for record in records
        ]

    records = [
        Record("1", "?", None, {"examples": EXAMPLES}),
        Record("2", "?", None, {"tests": TESTS}),
        Record("3", "?", None, {"examples": [["solve(1)", "7"]]}),
    ]
    found = solve(CFG, Codecs(codec, codec), search, records)
    assert [prediction.output for prediction in found] == [DOUBLE, SQUARE, SQUARE]
    assert [one.output for one in found[0].hypotheses] == [DOUBLE, SQUARE, "x"]
    off = solve(CodeConfig(choose=False), Codecs(codec, codec), search, records)
    assert off[0].output == SQUARE


@jailed
def test_generated_programs_pass_their_own_tests_and_give_their_examples() -> None:
    records = generated(PRIMITIVES, 600, "program")["train"][:60]
    asked = [
        (record.target, tuple(Check(*one) for one in (*record.meta["examples"], *record.meta["tests"])))
        for record in records
    ]
    assert all(all(verdict) for verdict in run_tests(CFG, asked))


def test_without_a_jail_nothing_runs_and_the_metric_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.jail import NoJail

    def refuse(memory: int, seconds: float) -> None:
        raise NoJail("no tier works here")

    monkeypatch.setattr(running, "the_jail", refuse)
    own = answered(DOUBLE, tests=[["solve(123456)", "246912"]])
    with pytest.raises(MetricSkipped, match="no tier works here"):
        PassAt(CFG).statistics([own])
    codec = CodeTokenizer((), (), ())
    record = Record("1", "?", None, {"examples": [["solve(98765)", "197530"]]})
    found = solve(
        CFG,
        Codecs(codec, codec),
        lambda records: [Prediction(record, (Hypothesis(SQUARE, 0.0), Hypothesis(DOUBLE, -1.0)))],
        [record],
    )
    assert found[0].output == SQUARE
    assert "examples choose nothing: no tier works here" in capsys.readouterr().err


def test_without_tests_the_metric_is_skipped() -> None:
    with pytest.raises(MetricSkipped, match="no record has tests"):
        PassAt(CFG).statistics([answered(DOUBLE, tests=[])])
    assert np.isnan(PassAt(CFG).score(PassAt(CFG).statistics([])))


def test_tests_are_pairs_or_assertions() -> None:
    assert one_test(["f(1)", "2"], "x") == Check("f(1)", "2")
    assert one_test("assert f([1]) == {'a': (1, None)}", "x") == Check("f([1])", "{'a': (1, None)}")
    assert one_test("assert abs(f(1) - 2) < 1e-6", "x") == Check("bool(abs(f(1) - 2) < 1e-06)", "True")
    assert one_test("assert f(1) == g(2)", "x") == Check("bool(f(1) == g(2))", "True")


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        ["f(1)"],
        ["f(", "2"],
        ["f(1)", "x + y"],
        "f(1) == 2",
        "assert f(",
        ["f(1)", 2],
        "assert a\nassert b",
        ["a = 1", "2"],
    ],
)
def test_other_tests_are_refused(wrong: object) -> None:
    with pytest.raises(BadRecord, match=r"file:7: meta\.tests: "):
        PassAt(CFG).statistics([answered(DOUBLE, tests=[wrong], place="file:7")])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "towns.sqlite"
    with sqlite3.connect(path) as made:
        made.execute("create table town (name text, people integer, area real)")
        made.executemany("insert into town values (?, ?, ?)", [("a", 5, 0.1), ("b", 7, 0.2), ("c", 5, 0.3)])
    made.close()
    return path


def test_queries_are_the_same_where_their_rows_are(database: Path) -> None:
    cfg = CodeConfig(language="sql", database=str(database))
    metric = next(one for one in metrics(cfg) if one.name == "execution")
    pairs = [
        (
            "select name from town where people = 5",
            "SELECT t.name FROM town AS t WHERE NOT t.people > 5 ORDER BY 1 DESC",
            1,
        ),
        ("select people from town", "select distinct people from town", 0),
        ("select sum(area) from town", "select 0.6", 1),
        ("select name from town", "select nothing from town", 0),
        ("select name from town", "delete from town", 0),
        ("select name from nowhere", "select name from nowhere", None),
    ]
    predictions = [
        Prediction(Record(str(n), "?", gold), (Hypothesis(output, 0.0),)) for n, (gold, output, _) in enumerate(pairs)
    ]
    rows = metric.statistics(predictions)
    assert rows.tolist() == [[0.0, 0.0] if same is None else [float(same), 1.0] for *_, same in pairs]
    assert metric.score(rows) == pytest.approx(40)
    assert "sqlite:" in metric.signature
    assert isinstance(metric, SameResult)


@pytest.mark.parametrize(
    "query",
    [
        "insert into town values ('x', 1, 1)",
        "drop table town",
        "pragma writable_schema = on",
        "pragma table_info(town)",
        "attach database '/tmp/other.sqlite' as other",
        "select load_extension('x')",
        "select randomblob(1000000000)",
        "create temp table t as select 1",
        "vacuum into '/tmp/copy.sqlite'",
        "select 1; select 2",
        "with recursive n(x) as (select 1 union all select x + 1 from n) select sum(x) from n",
        "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n",
        "select hex(zeroblob(900000000))",
        "select replace(printf('%900000c', 'x'), ' ', printf('%900000c', 'y'))",
        "select '\ud800'",
        "",
        "select \0",
    ],
)
def test_a_query_can_neither_change_anything_nor_go_on_for_ever(database: Path, query: str) -> None:
    before = database.read_bytes()
    with Database(str(database), seconds=0.3) as data:
        assert data.result(query) is None
    with Database(str(database), seconds=60) as data:  # a busy machine may be slow
        assert data.result("select count(*) from town") == {(3,): 1}
    assert database.read_bytes() == before
    assert not Path("/tmp/copy.sqlite").exists()


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no database at all, but long enough to be looked at " * 50)
    with pytest.raises(ConfigError, match="no such file"):
        Database(str(tmp_path / "y"), 1)
    with pytest.raises(ConfigError, match="not a database"), Database(str(tmp_path / "x"), 1):
        pass


@jailed
@pytest.mark.slow
def test_human_eval_proves_the_runner() -> None:
    from core.data.config import DataConfig
    from tasks.code_synthesis.human_eval import EMPTY, problems, solved

    found = problems(DataConfig())
    assert len(found) == 164
    assert all(solved(found, [problem.solution for problem in found]))
    assert not any(solved(found, [EMPTY] * len(found)))
