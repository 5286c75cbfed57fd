r"""The language of NL-RX (Locascio et al. 2016), and the minimal automaton of an expression as its canonical form.

Juxtaposition, `|` or, `&` and, `~` not (binds tightest), `*` `+` `?` `{n}` `{n,}` `{n,m}`, `.`, `[...]`; spaces mean nothing. As in the
field's evaluation, placeholders are written out before reading: `<VOW>` `<NUM>` `<LET>` `<CAP>` `<LOW>` as ranges of letters, `<M0>` to
`<M9>` as ten different words; and `\b` is a letter of its own rather than a word boundary. Automata come from Brzozowski
derivatives (1964) over classes of letters; `STATES` and `SIZE` keep them small, beyond which an expression is only equal to itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

PLACEHOLDERS = {"<VOW>": "AEIOUaeiou", "<NUM>": "0-9", "<LET>": "A-Za-z", "<CAP>": "A-Z", "<LOW>": "a-z"}
WORDS = ("dog", "truck", "ring", "lake", "cup", "stove", "hill", "mint", "vest", "jaw")
BOUNDARY = "\x07"
"""Stands for `\\b`."""
LETTERS = "".join(map(chr, range(33, 127))) + BOUNDARY
STATES = 2000
SIZE = 20_000
"""Nodes of all expressions met on the way."""
LONGEST = 2000
"""Characters of an expression."""
DEEPEST = 80
COUNT = 60
"""The largest number in braces."""
AUTOMATON = "automaton "


class BadRegex(ValueError):
    """No expression of the language."""


class TooLarge(Exception):
    """An automaton beyond the limits."""


def canonical_regex(text: str) -> str | None:
    """Equal exactly for expressions that match the same strings; a text without spaces where the automaton is too large."""
    return text if text.startswith(AUTOMATON) else _canonical(text)


@lru_cache(maxsize=20_000)
def _canonical(text: str) -> str | None:
    try:
        return AUTOMATON + automaton(text)
    except BadRegex:
        return None
    except TooLarge:
        return "".join(text.split())


def automaton(text: str) -> str:
    """A digest of the minimal automaton, its states numbered by a walk from the start in order of the letters."""
    algebra = Algebra()
    start = Parser(expand(text), algebra).parse()
    classes = algebra.classes()
    rows: list[list[int]] = []
    number = {start: 0}
    queue = [start]
    for state in queue:
        row: list[int] = []
        for letter in classes:
            after = algebra.derivative(state, letter)
            if after not in number:
                if len(number) >= STATES:
                    raise TooLarge
                number[after] = len(number)
                queue.append(after)
            row.append(number[after])
        rows.append(row)
    block = minimal(rows, [algebra.nullable[state] for state in queue])
    of_letter = [algebra.class_of(letter, classes) for letter in LETTERS + "\0"]
    return described(rows, block, [algebra.nullable[state] for state in queue], of_letter)


def minimal(rows: Sequence[Sequence[int]], accepts: Sequence[bool]) -> list[int]:
    """Moore's refinement: state -> its block."""
    block = [int(accept) for accept in accepts]
    count = len(set(block))
    while True:
        known: dict[tuple[int, ...], int] = {}
        refined = [known.setdefault((block[n], *(block[to] for to in row)), len(known)) for n, row in enumerate(rows)]
        if len(known) == count:
            return refined
        block, count = refined, len(known)


def described(
    rows: Sequence[Sequence[int]], block: Sequence[int], accepts: Sequence[bool], of_letter: Sequence[int]
) -> str:
    """Blocks renumbered letter by letter, so that neither the expression nor its classes can be told from it."""
    one_of = {one: state for state, one in reversed(list(enumerate(block)))}
    number, queue = {block[0]: 0}, [block[0]]
    digest = blake2b(digest_size=12)
    for one in queue:
        row = rows[one_of[one]]
        line: list[int] = [int(accepts[one_of[one]])]
        for column in of_letter:
            after = block[row[column]]
            if after not in number:
                number[after] = len(number)
                queue.append(after)
            line.append(number[after])
        digest.update(repr(line).encode())
    return f"{len(queue)} {digest.hexdigest()}"


def expand(text: str) -> str:
    """Without spaces and placeholders."""
    if len(text) > LONGEST:
        raise BadRegex("too long")
    text = "".join(text.split())
    for name, letters in PLACEHOLDERS.items():
        text = text.replace(name, letters)
    text = re.sub(r"<M(\d)>", lambda found: WORDS[int(found[1])], text)
    return text.replace("\\b", BOUNDARY)


class Algebra:
    """Expressions as numbers: equal numbers for expressions equal up to order and repetition in `|` and `&`."""

    NOTHING, EMPTY = 0, 1

    def __init__(self) -> None:
        self.nodes: list[tuple[object, ...]] = []
        self.nullable: list[bool] = []
        self.known: dict[tuple[object, ...], int] = {}
        self.memo: dict[tuple[int, str], int] = {}
        self.sets: set[frozenset[str]] = set()
        self.make(("none",), nullable=False)
        self.make(("empty",), nullable=True)
        self.ALL = self.complement(self.NOTHING)

    def make(self, node: tuple[object, ...], *, nullable: bool) -> int:
        """The number of a node, a new one if need be."""
        if (found := self.known.get(node)) is not None:
            return found
        if len(self.nodes) >= SIZE:
            raise TooLarge
        self.nodes.append(node)
        self.nullable.append(nullable)
        self.known[node] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def letters(self, chosen: frozenset[str], *, inverted: bool = False) -> int:
        """One letter of these, or one that is none of these."""
        self.sets.add(chosen)
        return self.make(("set", chosen, inverted), nullable=False)

    def concat(self, left: int, right: int) -> int:
        if self.NOTHING in (left, right):
            return self.NOTHING
        if left == self.EMPTY or right == self.EMPTY:
            return right if left == self.EMPTY else left
        node = self.nodes[left]
        if node[0] == "concat":
            return self.concat(node[1], self.concat(node[2], right))  # pyright: ignore[reportArgumentType]
        return self.make(("concat", left, right), nullable=self.nullable[left] and self.nullable[right])

    def star(self, inner: int) -> int:
        if inner in (self.NOTHING, self.EMPTY):
            return self.EMPTY
        return inner if self.nodes[inner][0] == "star" else self.make(("star", inner), nullable=True)

    def complement(self, inner: int) -> int:
        node = self.nodes[inner]
        if node[0] == "not":
            return node[1]  # pyright: ignore[reportReturnType]
        return self.make(("not", inner), nullable=not self.nullable[inner])

    def union(self, *parts: int) -> int:
        """`|`"""
        flat = self.flat("or", parts) - {self.NOTHING}
        if self.ALL in flat:
            return self.ALL
        if len(flat) < 2:
            return next(iter(flat), self.NOTHING)
        return self.make(("or", frozenset(flat)), nullable=any(self.nullable[one] for one in flat))

    def intersection(self, *parts: int) -> int:
        """`&`"""
        flat = self.flat("and", parts) - {self.ALL}
        if self.NOTHING in flat:
            return self.NOTHING
        if len(flat) < 2:
            return next(iter(flat), self.ALL)
        return self.make(("and", frozenset(flat)), nullable=all(self.nullable[one] for one in flat))

    def flat(self, kind: str, parts: Sequence[int]) -> set[int]:
        """The operands, those of operands of the same kind too."""
        found: set[int] = set()
        for one in parts:
            node = self.nodes[one]
            found |= node[1] if node[0] == kind else {one}  # pyright: ignore[reportOperatorIssue]
        return found

    def derivative(self, expression: int, letter: str) -> int:
        """What may follow once `letter` was read."""
        if (found := self.memo.get((expression, letter))) is None:
            found = self.memo[expression, letter] = self.derive(expression, letter)
        return found

    def derive(self, expression: int, letter: str) -> int:
        """Brzozowski (1964), definition 3.1."""
        match self.nodes[expression]:
            case ("set", chosen, inverted):
                return self.EMPTY if (letter in chosen) != inverted else self.NOTHING  # pyright: ignore[reportOperatorIssue]
            case ("concat", int(left), int(right)):
                after = self.concat(self.derivative(left, letter), right)
                return self.union(after, self.derivative(right, letter)) if self.nullable[left] else after
            case ("star", int(inner)):
                return self.concat(self.derivative(inner, letter), expression)
            case ("not", int(inner)):
                return self.complement(self.derivative(inner, letter))
            case ("or", frozenset() as parts):
                return self.union(*(self.derivative(one, letter) for one in parts))
            case ("and", frozenset() as parts):
                return self.intersection(*(self.derivative(one, letter) for one in parts))
            case _:
                return self.NOTHING

    def classes(self) -> list[str]:
        """One letter of each class that no set of the expression cuts; NUL stands for all letters not named."""
        found: dict[tuple[bool, ...], str] = {}
        sets = sorted(self.sets, key=sorted)
        for letter in ["\0", *sorted(frozenset().union(*sets))]:
            found.setdefault(tuple(letter in one for one in sets), letter)
        return list(found.values())

    def class_of(self, letter: str, classes: Sequence[str]) -> int:
        """The place in `classes` of the letter's class."""
        same = [all((letter in one) == (other in one) for one in self.sets) for other in classes]
        return same.index(True)


class Parser:
    """By recursive descent, as tightly as the grammar says: or, and, concatenation, repetition, not, atom."""

    def __init__(self, text: str, algebra: Algebra) -> None:
        self.text, self.at, self.algebra, self.depth = text, 0, algebra, 0

    def parse(self) -> int:
        """All of the text."""
        found = self.union()
        if self.at < len(self.text):
            raise BadRegex(f"{self.text[self.at]!r} at {self.at + 1}")
        return found

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, sign: str) -> bool:
        """Whether it came, and then past it."""
        found = self.text.startswith(sign, self.at)
        self.at += len(sign) * found
        return found

    def union(self) -> int:
        parts = [self.intersection()]
        while self.take("|"):
            parts.append(self.intersection())
        return self.algebra.union(*parts)

    def intersection(self) -> int:
        parts = [self.concatenation()]
        while self.take("&"):
            parts.append(self.concatenation())
        return self.algebra.intersection(*parts)

    def concatenation(self) -> int:
        parts: list[int] = []
        while self.peek() not in ("", "|", "&", ")"):
            parts.append(self.repetition())
        if not parts:
            raise BadRegex(f"nothing stands at {self.at + 1}")
        found = parts.pop()
        while parts:
            found = self.algebra.concat(parts.pop(), found)
        return found

    def repetition(self) -> int:
        found = self.complemented()
        while (sign := self.peek()) in ("*", "+", "?", "{") and sign:
            self.at += 1
            match sign:
                case "*":
                    found = self.algebra.star(found)
                case "+":
                    found = self.algebra.concat(found, self.algebra.star(found))
                case "?":
                    found = self.algebra.union(found, self.algebra.EMPTY)
                case _:
                    found = self.counted(found)
        return found

    def counted(self, inner: int) -> int:
        """{n}, {n,} and {n,m}"""
        numbers = re.compile(r"(\d{1,6})(,?)(\d{0,6})\}").match(self.text, self.at)
        if numbers is None or (numbers[3] and not numbers[2]):
            raise BadRegex(f"no count at {self.at + 1}")
        self.at = numbers.end()
        low = int(numbers[1])
        high = int(numbers[3]) if numbers[3] else None if numbers[2] else low
        if high is not None and high < low:
            raise BadRegex(f"{{{low},{high}}}")
        if max(low, high or 0) > COUNT:
            raise TooLarge
        algebra = self.algebra
        found = algebra.star(inner) if high is None else algebra.EMPTY
        for _ in range((high or low) - low):
            found = algebra.union(algebra.EMPTY, algebra.concat(inner, found))
        for _ in range(low):
            found = algebra.concat(inner, found)
        return found

    def complemented(self) -> int:
        flips = 0
        while self.take("~"):
            flips += 1
        found = self.atom()
        return self.algebra.complement(found) if flips % 2 else found

    def atom(self) -> int:
        sign = self.peek()
        self.at += 1
        match sign:
            case "(":
                self.depth += 1
                if self.depth > DEEPEST:
                    raise BadRegex("nested too deep")
                found = self.union()
                self.depth -= 1
                if not self.take(")"):
                    raise BadRegex("no closing bracket")
                return found
            case "[":
                return self.group()
            case ".":
                return self.algebra.letters(frozenset(), inverted=True)
            case "" | "*" | "+" | "?" | "{" | "}" | "]":
                raise BadRegex(f"{sign!r} at {self.at}")
            case "\\":
                return self.algebra.letters(frozenset(self.escaped()))
            case _:
                return self.algebra.letters(frozenset(sign))

    def escaped(self) -> str:
        """The letter after a backslash."""
        letter = self.peek()
        if not letter:
            raise BadRegex("a backslash at the end")
        self.at += 1
        return letter

    def group(self) -> int:
        """[abc], [a-z], [^abc]"""
        inverted, chosen = self.take("^"), set[str]()
        while not self.take("]"):
            first = self.peek()
            self.at += 1
            if not first:
                raise BadRegex("no closing square bracket")
            if first == "\\":
                first = self.escaped()
            last = first
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("", "]"):
                self.at += 1
                last = self.peek()
                self.at += 1
                if last < first or ord(last) - ord(first) > 1000:
                    raise BadRegex(f"no range {first}-{last}")
            chosen |= {chr(one) for one in range(ord(first), ord(last) + 1)}
        if not chosen:
            raise BadRegex("an empty class")
        return self.algebra.letters(frozenset(chosen), inverted=inverted)
