"""Expressions of NL-RX: what they match, and when two of them match the same."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.code_synthesis.regexes import BOUNDARY, Algebra, BadRegex, Parser, canonical_regex, expand

LETTERS = "abdog1A -"
SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-d]", "1"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda both: f"({both[0]}|{both[1]})"),
        inner.map(lambda one: f"({one})*"),
        inner.map(lambda one: f"({one})+"),
        inner.map(lambda one: f"({one})?"),
        inner.map(lambda one: f"({one}){{1,2}}"),
        inner.map(lambda one: f"({one}){{2,}}"),
    ),
    max_leaves=5,
)


def matches(expression: str, text: str) -> bool:
    """By derivatives, without automata."""
    algebra = Algebra()
    at = Parser(expand(expression), algebra).parse()
    for letter in text:
        at = algebra.derivative(at, letter)
    return algebra.nullable[at]


def texts(count: int) -> list[str]:
    """Some of every length."""
    draw = random.Random(1)
    return ["".join(draw.choices("abdog1A", k=draw.randrange(6))) for _ in range(count)]


TEXTS = texts(60)


@settings(max_examples=120, deadline=None)
@given(SIMPLE, st.text(alphabet="abcd1", max_size=6))
def test_matching_is_that_of_python(expression: str, text: str) -> None:
    assert matches(expression, text) == bool(re.fullmatch(expression, text))


@settings(max_examples=60, deadline=None)
@given(SIMPLE, SIMPLE)
def test_forms_are_equal_exactly_where_no_text_tells_the_difference(one: str, other: str) -> None:
    different = f"(({one})&~({other}))|(({other})&~({one}))"
    nothing = canonical_regex("a&b")
    assert (canonical_regex(one) == canonical_regex(other)) == (canonical_regex(different) == nothing)
    if canonical_regex(one) == canonical_regex(other):
        assert all(matches(one, text) == matches(other, text) for text in TEXTS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (". * <M0> . *", ".*dog.*"),
        ("( [ <VOW> ] ) + ", "[AEIOUaeiou][aeiouAEIOU]*"),
        ("~ ( ( [ <LET> ] ) | ( <M0> ) )", "(~([A-Za-z])) & (~(dog))"),
        ("( . * <M0> . * ) & ( . * <M1> . * )", "(.*truck.*)&(.*dog.*)"),
        ("( <M0> ) { 2 , }", "dogdog(dog)*"),
        ("[ <CAP> ]", "[A-M]|[N-Z]"),
        ("( ( . ) ( . * ) ) | ( . * <M0> . * )", ".+"),
        ("~ ~ a b", "ab"),
        ("a | a b ?", "ab?"),
        ("\\b a \\b", "\\b(a)\\b"),
        ("~ a b", "(~(a))b"),
    ],
)
def test_equal_ones_have_equal_forms(one: str, other: str) -> None:
    assert canonical_regex(one) == canonical_regex(other)
    form = canonical_regex(one)
    assert form is not None
    assert canonical_regex(form) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<M0>", "<M1>"),
        (". *", ". +"),
        ("[ <LET> ]", "[ <LOW> ]"),
        ("( . * a ) { 3 , }", "( . * a ) { 4 , }"),
        ("~ ( a b )", "~ a b"),
        ("a & b", "a | b"),
        ("\\b a", "b a"),
        ("[^a]", "[^b]"),
        ("[ <NUM> ]", "[ <NUM> a ]"),
    ],
)
def test_different_ones_have_different_forms(one: str, other: str) -> None:
    assert canonical_regex(one) != canonical_regex(other)


@pytest.mark.parametrize(
    "wrong", ["", "(", ")", "a|", "&a", "*", "a{", "a{2", "a{3,2}", "[", "[]", "[z-a]", "\\", "~", "(" * 500]
)
def test_what_is_no_expression_has_no_form(wrong: str) -> None:
    assert canonical_regex(wrong) is None
    with pytest.raises(BadRegex):
        Parser(expand(wrong), Algebra()).parse()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "large", [". * a . { 60 }", "( . * a . { 9 } ) & ( . * b . { 9 } )", "a { 999999 }", "((((a*)*)*)*)*" * 100]
)
def test_large_automata_are_given_up(large: str) -> None:
    form = canonical_regex(large)
    assert form is not None
    assert form != canonical_regex("a")


def test_the_boundary_is_a_letter_of_its_own() -> None:
    assert matches("\\b", BOUNDARY)
    assert matches(".", BOUNDARY)
    assert not matches("[<LET>]", BOUNDARY)
