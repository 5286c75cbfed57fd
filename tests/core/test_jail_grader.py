"""The verdict, made outside: canonical texts, Python's equality, and no belief in what only a program could have written."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.jail import Outcome, Value, canonical, passed, plain, same, worker

atoms = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
    | st.complex_numbers() | st.builds(lambda number, places: number << places, st.integers(), st.integers(0, 14000))
)  # fmt: skip
hashable = st.recursive(atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
data = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.tuples(inner)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data)
def test_plain_data_equals_itself_through_the_wire(value: object) -> None:
    received = plain.text(json.loads(json.dumps(plain.tree(value))))
    assert received == canonical(value)
    if "nan" not in received:
        assert same(Value(True, received), canonical(value))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True), (True, 1, True), ([1], (1,), False), ({1, 2}, {2, 1}, True), ({1: 2, 3: 4}, {3: 4, 1: 2}, True),
        ({1, 2.0}, {1.0, 2}, True), ("1", 1, False), (b"a", "a", False), (0.0, -0.0, True), (float("nan"), float("nan"), True),
        (float("inf"), float("-inf"), False), ([], (), False), ({}, set(), False), (set(), frozenset(), True),
        (2**20000, 2**20000, True), (2**20000, 2**20000 + 1, False), (None, False, False), ({"a": [1]}, {"a": [1.0]}, True),
        (3 + 4j, 3 + 4j, True), ({(1, 2): 3}, {(1, 2): 3}, True), ({(1, 2): 3}, {(1, 2): 4}, False), ([1, 2], [1, 2, 3], False),
        ({True: 1}, {1.0: 1}, True), ("a'b\"", "a'b\"", True), ({0}, {False}, True),
    ],
    ids=lambda value: canonical(value)[:20],
)  # fmt: skip
def test_equality_is_pythons(one: object, other: object, equal: bool) -> None:
    assert same(Value(True, canonical(one)), canonical(other)) is equal


def test_a_tolerance_is_for_floats() -> None:
    near = Value(True, canonical([0.1 + 0.2, {"a": (1e9,)}]))
    assert not same(near, canonical([0.3, {"a": (1e9 + 1,)}]))
    assert same(near, canonical([0.3, {"a": (1e9 + 1,)}]), tolerance=1e-6)
    assert not same(Value(True, "100000000"), "100000001", tolerance=1e-6)
    assert not same(Value(True, canonical(10**400)), canonical(1.0), tolerance=1e-6)


def test_an_exception_equals_nothing() -> None:
    assert not same(Value(False, "3"), "3")
    good = Outcome("done", (Value(True, "3"),), "", "", 0.0)
    assert passed(good, ["3"])
    assert not passed(good, ["3", "4"])
    assert not passed(Outcome("timeout", good.values, "", "", 0.0), ["3"])
    with pytest.raises(ValueError, match="at least one"):
        passed(good, [])


@pytest.mark.parametrize(
    "line",
    [
        b'{"value": [true, NaN]}', b'{"value": [true, 1.5]}', b'{"value": [1, 2, 3]}', b'{"value": 5}', b"[" * 100000, b"\xff",
        b'{"value": ["true", 1]}', b'{"value": [true, {"d": [[1]]}]}', b'{"value": [true, {"x": 1}]}', b'{"value": [true, {"i": "zz"}]}',
        b'{"value": [true, {"f": "zz"}]}', b'{"value": [true, {"s": 1, "t": 2}]}', b'{"value": [true, {"d": [1]}]}', b"7",
        b'{"value": [true, ' + b'{"t": [' * 90 + b"]}" * 90 + b"]}",
        b'{"value": [true, {"f": "0x1p99999"}]}', b'{"value": [true, {"b": "zz"}]}',
    ],
    ids=lambda line: repr(line[:40]),
)  # fmt: skip
def test_what_the_jail_would_not_write_is_no_value(line: bytes) -> None:
    assert worker.read(line + b'\n{"end": true}\n', 1)[0] == []


def test_more_values_than_calls_are_not_believed() -> None:
    values, last = worker.read(b'{"value": [true, 1]}\n{"value": [true, 2]}\n{"end": true}\n', 1)
    assert (values, last) == ([Value(True, "1")], {})
