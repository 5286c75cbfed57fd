"""What generated programs are composed of: a line of Python, what it does, and how people ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Any, Literal

Kind = Literal["ints", "int", "str", "strs", "dict", "bool"]
NAMES: Mapping[Kind, str] = {
    "ints": "numbers",
    "int": "n",
    "str": "text",
    "strs": "words",
    "dict": "table",
    "bool": "answer",
}
"""The variable that holds a value of this kind."""
VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Primitive:
    """`code` is an expression (or lines, the last of them an expression) over `{v}`; `{k}` `{c}` `{w}` are its constant."""

    takes: Kind
    gives: Kind
    code: str
    does: Callable[[Any, Any], Any]
    phrases: tuple[str, ...]

    @property
    def constant(self) -> Literal["k", "c", "w", ""]:
        """A number, a letter, a word, or none."""
        found = [kind for kind in ("k", "c", "w") if "{" + kind + "}" in self.code]
        return found[0] if found else ""  # pyright: ignore[reportReturnType]


def counts(values: Any) -> dict[Any, int]:
    """How often each occurs, in order of first sight."""
    found: dict[Any, int] = {}
    for one in values:
        found[one] = found.get(one, 0) + 1
    return found


P = Primitive
PRIMITIVES: tuple[Primitive, ...] = (
    # numbers to numbers
    P(
        "ints",
        "ints",
        "[x * {k} for x in {v}]",
        lambda v, k: [x * k for x in v],
        ("multiply every number by {k}", "scale each number by {k}", "make all the numbers {k} times as large"),
    ),
    P(
        "ints",
        "ints",
        "[x + {k} for x in {v}]",
        lambda v, k: [x + k for x in v],
        ("add {k} to every number", "increase each number by {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x - {k} for x in {v}]",
        lambda v, k: [x - k for x in v],
        ("subtract {k} from every number", "decrease each number by {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x ** 2 for x in {v}]",
        lambda v, k: [x**2 for x in v],
        ("square every number", "raise each number to the second power"),
    ),
    P(
        "ints",
        "ints",
        "[-x for x in {v}]",
        lambda v, k: [-x for x in v],
        ("negate every number", "flip the sign of each number"),
    ),
    P(
        "ints",
        "ints",
        "[abs(x) for x in {v}]",
        lambda v, k: [abs(x) for x in v],
        ("take the absolute value of every number", "drop the sign of each number"),
    ),
    P(
        "ints",
        "ints",
        "[x % {k} for x in {v}]",
        lambda v, k: [x % k for x in v],
        ("replace every number by its remainder modulo {k}", "take each number modulo {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x // {k} for x in {v}]",
        lambda v, k: [x // k for x in v],
        ("divide every number by {k}, rounding down", "replace each number by its whole quotient by {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x > {k}]",
        lambda v, k: [x for x in v if x > k],
        ("keep only the numbers greater than {k}", "discard the numbers that are not above {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x < {k}]",
        lambda v, k: [x for x in v if x < k],
        ("keep only the numbers smaller than {k}", "discard the numbers that are not below {k}"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x % 2 == 0]",
        lambda v, k: [x for x in v if x % 2 == 0],
        ("keep only the even numbers", "throw away the odd numbers"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x % 2 == 1]",
        lambda v, k: [x for x in v if x % 2 == 1],
        ("keep only the odd numbers", "throw away the even numbers"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x % {k} == 0]",
        lambda v, k: [x for x in v if x % k == 0],
        ("keep only the multiples of {k}", "keep the numbers that {k} divides"),
    ),
    P(
        "ints",
        "ints",
        "[x for x in {v} if x != {k}]",
        lambda v, k: [x for x in v if x != k],
        ("remove every {k} from the numbers", "leave out the numbers equal to {k}"),
    ),
    P(
        "ints",
        "ints",
        "sorted({v})",
        lambda v, k: sorted(v),
        ("sort the numbers", "put the numbers in ascending order"),
    ),
    P(
        "ints",
        "ints",
        "sorted({v}, reverse=True)",
        lambda v, k: sorted(v, reverse=True),
        ("sort the numbers from largest to smallest", "put the numbers in descending order"),
    ),
    P(
        "ints",
        "ints",
        "{v}[::-1]",
        lambda v, k: v[::-1],
        ("reverse the list of numbers", "turn the order of the numbers around"),
    ),
    P(
        "ints",
        "ints",
        "{v}[:{k}]",
        lambda v, k: v[:k],
        ("take the first {k} numbers", "keep just the {k} leading numbers"),
    ),
    P(
        "ints",
        "ints",
        "{v}[-{k}:]",
        lambda v, k: v[-k:],
        ("take the last {k} numbers", "keep just the {k} final numbers"),
    ),
    P(
        "ints",
        "ints",
        "{v}[{k}:]",
        lambda v, k: v[k:],
        ("skip the first {k} numbers", "drop {k} numbers from the front"),
    ),
    P(
        "ints",
        "ints",
        "{v}[::{k}]",
        lambda v, k: v[::k],
        ("take every {k}th number", "pick one number out of each {k}, from the first on"),
    ),
    P(
        "ints",
        "ints",
        "list(dict.fromkeys({v}))",
        lambda v, k: list(dict.fromkeys(v)),
        ("remove repeated numbers", "keep each number once"),
    ),
    P(
        "ints",
        "ints",
        "[b - a for a, b in zip({v}, {v}[1:])]",
        lambda v, k: [b - a for a, b in pairwise(v)],
        ("take the differences of neighbouring numbers", "compute how much each number grows to the next"),
    ),
    P(
        "ints",
        "ints",
        "total = 0\nsums = []\nfor x in {v}:\n    total += x\n    sums.append(total)\nsums",
        lambda v, k: list(accumulate(v)),
        ("compute the running totals", "replace each number by the sum up to it"),
    ),
    P(
        "ints",
        "ints",
        "[min(x, {k}) for x in {v}]",
        lambda v, k: [min(x, k) for x in v],
        ("cap every number at {k}", "lower the numbers above {k} to {k}"),
    ),
    P(
        "ints",
        "ints",
        "[max(x, {k}) for x in {v}]",
        lambda v, k: [max(x, k) for x in v],
        ("raise every number to at least {k}", "lift the numbers below {k} to {k}"),
    ),
    P(
        "ints",
        "ints",
        "{v} + [{k}]",
        lambda v, k: [*v, k],
        ("append {k} to the numbers", "put a {k} at the end of the numbers"),
    ),
    P(
        "ints",
        "ints",
        "[{k}] + {v}",
        lambda v, k: [k, *v],
        ("put {k} in front of the numbers", "insert a {k} before the first number"),
    ),
    # numbers to others
    P("ints", "int", "sum({v})", lambda v, k: sum(v), ("add up the numbers", "compute the sum of the numbers")),
    P(
        "ints",
        "int",
        "max({v}, default=0)",
        lambda v, k: max(v, default=0),
        ("find the largest number", "take the maximum of the numbers"),
    ),
    P(
        "ints",
        "int",
        "min({v}, default=0)",
        lambda v, k: min(v, default=0),
        ("find the smallest number", "take the minimum of the numbers"),
    ),
    P("ints", "int", "len({v})", lambda v, k: len(v), ("count the numbers", "tell how many numbers there are")),
    P(
        "ints",
        "int",
        "product = 1\nfor x in {v}:\n    product *= x\nproduct",
        lambda v, k: prod(v),
        ("multiply the numbers together", "compute the product of the numbers"),
    ),
    P(
        "ints",
        "int",
        "{v}.count({k})",
        lambda v, k: v.count(k),
        ("count how often {k} occurs", "tell how many of the numbers equal {k}"),
    ),
    P(
        "ints",
        "int",
        "max({v}, default=0) - min({v}, default=0)",
        lambda v, k: max(v, default=0) - min(v, default=0),
        ("compute the range of the numbers", "subtract the smallest number from the largest"),
    ),
    P(
        "ints",
        "strs",
        "[str(x) for x in {v}]",
        lambda v, k: [str(x) for x in v],
        ("turn every number into text", "convert each number to a string"),
    ),
    P(
        "ints",
        "dict",
        "{{str(x): x for x in {v}}}",
        lambda v, k: {str(x): x for x in v},
        ("map the text of each number to the number", "build a table from each number as text to itself"),
    ),
    # one number
    P(
        "int",
        "int",
        "n * {k}",
        lambda v, k: v * k,
        ("multiply the number by {k}", "make the number {k} times as large"),
    ),
    P("int", "int", "n + {k}", lambda v, k: v + k, ("add {k} to the number", "increase the number by {k}")),
    P("int", "int", "n - {k}", lambda v, k: v - k, ("subtract {k} from the number", "decrease the number by {k}")),
    P("int", "int", "n ** 2", lambda v, k: v**2, ("square the number", "raise the number to the second power")),
    P(
        "int",
        "int",
        "abs(n)",
        lambda v, k: abs(v),
        ("take the absolute value of the number", "drop the sign of the number"),
    ),
    P("int", "int", "n % {k}", lambda v, k: v % k, ("take the number modulo {k}", "compute the remainder by {k}")),
    P(
        "int",
        "int",
        "sum((int(d) for d in str(abs(n))))",
        lambda v, k: sum(int(d) for d in str(abs(v))),
        ("add up the digits of the number", "compute the digit sum"),
    ),
    P(
        "int",
        "ints",
        "[int(d) for d in str(abs(n))]",
        lambda v, k: [int(d) for d in str(abs(v))],
        ("list the digits of the number", "split the number into its digits"),
    ),
    P("int", "str", "str(n)", lambda v, k: str(v), ("turn the number into text", "convert the number to a string")),
    P(
        "int",
        "str",
        "format(n, 'b')",
        lambda v, k: format(v, "b"),
        ("write the number in binary", "give the base two form of the number"),
    ),
    P(
        "int",
        "bool",
        "n % 2 == 0",
        lambda v, k: v % 2 == 0,
        ("check whether the number is even", "tell if two divides the number"),
    ),
    P(
        "int",
        "bool",
        "n > {k}",
        lambda v, k: v > k,
        ("check whether the number is greater than {k}", "tell if the number exceeds {k}"),
    ),
    # text
    P(
        "str",
        "str",
        "text.upper()",
        lambda v, k: v.upper(),
        ("convert the text to upper case", "make all letters of the text capital"),
    ),
    P(
        "str",
        "str",
        "text.title()",
        lambda v, k: v.title(),
        ("capitalise every word of the text", "put the text in title case"),
    ),
    P("str", "str", "text[::-1]", lambda v, k: v[::-1], ("reverse the text", "read the text backwards")),
    P(
        "str",
        "str",
        "text[:{k}]",
        lambda v, k: v[:k],
        ("take the first {k} characters", "cut the text after {k} characters"),
    ),
    P(
        "str",
        "str",
        "text[{k}:]",
        lambda v, k: v[k:],
        ("skip the first {k} characters", "drop {k} characters from the front of the text"),
    ),
    P(
        "str",
        "str",
        "text * {k}",
        lambda v, k: v * k,
        ("repeat the text {k} times", "write the text {k} times in a row"),
    ),
    P("str", "str", "text + {w}", lambda v, k: v + k, ("append {w} to the text", "put {w} at the end of the text")),
    P("str", "str", "{w} + text", lambda v, k: k + v, ("put {w} before the text", "prefix the text with {w}")),
    P(
        "str",
        "str",
        "text.replace({c}, '')",
        lambda v, k: v.replace(k, ""),
        ("remove every {c} from the text", "delete the letter {c} in the text"),
    ),
    P(
        "str",
        "str",
        "''.join((c for c in text if c not in 'aeiou'))",
        lambda v, k: "".join(c for c in v if c not in VOWELS),
        ("remove the vowels from the text", "leave only what is no vowel in the text"),
    ),
    P(
        "str",
        "strs",
        "text.split()",
        lambda v, k: v.split(),
        ("split the text into words", "break the text at white space"),
    ),
    P(
        "str",
        "strs",
        "text.split({c})",
        lambda v, k: v.split(k),
        ("split the text at each {c}", "break the text wherever {c} stands"),
    ),
    P(
        "str",
        "int",
        "len(text)",
        lambda v, k: len(v),
        ("count the characters of the text", "compute the length of the text"),
    ),
    P(
        "str",
        "int",
        "text.count({c})",
        lambda v, k: v.count(k),
        ("count how often {c} occurs in the text", "tell how many times the text has {c}"),
    ),
    P(
        "str",
        "bool",
        "text == text[::-1]",
        lambda v, k: v == v[::-1],
        ("check whether the text is a palindrome", "tell if the text reads the same backwards"),
    ),
    P(
        "str",
        "bool",
        "text.startswith({c})",
        lambda v, k: v.startswith(k),
        ("check whether the text starts with {c}", "tell if {c} is how the text begins"),
    ),
    P(
        "str",
        "dict",
        "counts = {{}}\nfor c in text:\n    counts[c] = counts.get(c, 0) + 1\ncounts",
        lambda v, k: counts(v),
        ("count each character of the text", "build a table of how often every character occurs"),
    ),
    # words
    P(
        "strs",
        "strs",
        "[w.upper() for w in {v}]",
        lambda v, k: [w.upper() for w in v],
        ("convert every word to upper case", "make each word capital"),
    ),
    P(
        "strs",
        "strs",
        "[w[::-1] for w in {v}]",
        lambda v, k: [w[::-1] for w in v],
        ("reverse every word", "spell each word backwards"),
    ),
    P("strs", "strs", "sorted({v})", lambda v, k: sorted(v), ("sort the words", "put the words in alphabetical order")),
    P(
        "strs",
        "strs",
        "sorted({v}, key=len)",
        lambda v, k: sorted(v, key=len),
        ("sort the words by length", "order the words from shortest to longest"),
    ),
    P(
        "strs",
        "strs",
        "{v}[::-1]",
        lambda v, k: v[::-1],
        ("reverse the list of words", "turn the order of the words around"),
    ),
    P("strs", "strs", "{v}[:{k}]", lambda v, k: v[:k], ("take the first {k} words", "keep just the {k} leading words")),
    P(
        "strs",
        "strs",
        "list(dict.fromkeys({v}))",
        lambda v, k: list(dict.fromkeys(v)),
        ("remove repeated words", "keep each word once"),
    ),
    P(
        "strs",
        "strs",
        "[w for w in {v} if len(w) > {k}]",
        lambda v, k: [w for w in v if len(w) > k],
        ("keep only the words longer than {k} letters", "discard the words of {k} letters or fewer"),
    ),
    P(
        "strs",
        "strs",
        "[w for w in {v} if {c} in w]",
        lambda v, k: [w for w in v if k in w],
        ("keep only the words that contain {c}", "discard the words without {c}"),
    ),
    P(
        "strs",
        "strs",
        "[w + {w} for w in {v}]",
        lambda v, k: [w + k for w in v],
        ("append {w} to every word", "end each word with {w}"),
    ),
    P(
        "strs",
        "str",
        "' '.join({v})",
        lambda v, k: " ".join(v),
        ("join the words with spaces", "make one text of the words, with blanks between"),
    ),
    P(
        "strs",
        "str",
        "'-'.join({v})",
        lambda v, k: "-".join(v),
        ("join the words with hyphens", "string the words together with hyphens"),
    ),
    P(
        "strs",
        "str",
        "max({v}, key=len, default='')",
        lambda v, k: max(v, key=len, default=""),
        ("find the longest word", "pick the word with the most letters"),
    ),
    P(
        "strs",
        "str",
        "''.join((w[:1] for w in {v}))",
        lambda v, k: "".join(w[:1] for w in v),
        ("make an acronym of the words", "join the first letters of the words"),
    ),
    P(
        "strs",
        "ints",
        "[len(w) for w in {v}]",
        lambda v, k: [len(w) for w in v],
        ("list the lengths of the words", "replace each word by its length"),
    ),
    P("strs", "int", "len({v})", lambda v, k: len(v), ("count the words", "tell how many words there are")),
    P(
        "strs",
        "dict",
        "{{w: len(w) for w in {v}}}",
        lambda v, k: {w: len(w) for w in v},
        ("map each word to its length", "build a table from words to their lengths"),
    ),
    P(
        "strs",
        "dict",
        "counts = {{}}\nfor w in {v}:\n    counts[w] = counts.get(w, 0) + 1\ncounts",
        lambda v, k: counts(v),
        ("count each word", "build a table of how often every word occurs"),
    ),
    # tables
    P(
        "dict",
        "dict",
        "{{k: v for k, v in {v}.items() if v > {k}}}",
        lambda v, k: {a: b for a, b in v.items() if b > k},
        ("keep only the entries with values greater than {k}", "discard the entries whose values are not above {k}"),
    ),
    P(
        "dict",
        "dict",
        "{{k: v + {k} for k, v in {v}.items()}}",
        lambda v, k: {a: b + k for a, b in v.items()},
        ("add {k} to every value of the table", "increase each value of the table by {k}"),
    ),
    P(
        "dict",
        "strs",
        "list({v})",
        lambda v, k: list(v),
        ("list the keys of the table", "collect all keys of the table"),
    ),
    P(
        "dict",
        "strs",
        "sorted({v}, key={v}.get)",
        lambda v, k: sorted(v, key=v.get),
        ("list the keys by their values", "order the keys of the table by value"),
    ),
    P(
        "dict",
        "ints",
        "list({v}.values())",
        lambda v, k: list(v.values()),
        ("list the values of the table", "collect all values of the table"),
    ),
    P(
        "dict",
        "int",
        "sum({v}.values())",
        lambda v, k: sum(v.values()),
        ("add up the values of the table", "compute the sum of all values of the table"),
    ),
    P(
        "dict",
        "int",
        "len({v})",
        lambda v, k: len(v),
        ("count the entries of the table", "tell how many keys the table has"),
    ),
    P(
        "dict",
        "str",
        "max({v}, key={v}.get, default='')",
        lambda v, k: max(v, key=v.get, default=""),
        ("find the key with the largest value", "pick the key whose value is highest"),
    ),
)
