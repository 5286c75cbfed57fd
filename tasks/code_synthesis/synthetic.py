"""Generated instructions and Python functions that follow them, with executed examples. Synthetic: no person wrote them.

A program is a chain of one to three primitives. Which split it belongs to is a hash of its shape, that is, of its syntax
tree without its constants: a test program's combination of primitives occurs in no training program, with whatever constants.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from core.data.config import DataConfig
from core.data.split import hashed_share
from core.record import SPLITS, Record, Split
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.primitives import NAMES, PRIMITIVES, Kind, Primitive

DEEPEST = 3
PUBLIC, HIDDEN = 2, 6
"""Examples that are given, and tests that are kept for scoring."""
EACH = 6
"""At most so many records of one shape in dev and in test."""
BY_KIND = {kind: tuple(one for one in PRIMITIVES if one.takes == kind) for kind in NAMES}
TINY = tuple(one for one in PRIMITIVES if one.takes in ("ints", "int") and one.gives in ("ints", "int"))[::3]
"""What tiny programs are composed of."""
KINDS: tuple[Kind, ...] = ("ints", "ints", "ints", "str", "strs", "strs", "dict", "int")
"""Of arguments, the frequent ones more than once."""
GIVEN = {
    "ints": ("a list of numbers", "some numbers"),
    "int": ("a number", "an integer"),
    "str": ("a text", "a string"),
    "strs": ("a list of words", "some words"),
    "dict": ("a table", "a dictionary"),
}
FRAMES = {
    1: ("{0}", "given {g}, {0}", "write a function that takes {g}; it should {0}", "{0}, please"),
    2: (
        "{0}, then {1}",
        "given {g}, {0} and then {1}",
        "first {0}; after that {1}",
        "{1}, but before that {0}",
        "write a function that takes {g}; it should {0} and {1}",
        "after you {0}, {1}",
    ),
    3: (
        "{0}, then {1}, then {2}",
        "given {g}, {0}, {1} and finally {2}",
        "first {0}; after that {1}; at the end {2}",
        "write a function that takes {g}; it should {0}, {1} and {2}",
        "after you {0} and {1}, {2}",
    ),
}
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


class Draw:
    """Choices drawn from a hash: the same ones on every machine and version of Python."""

    def __init__(self, key: str) -> None:
        self.key, self.used, self.left = key, 0, 0
        self.size = 1

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        if self.size < count << 32:  # what is left is too little to be fair
            digest = blake2b(f"{self.key}/{self.used}".encode(), digest_size=64).digest()
            self.left, self.size, self.used = int.from_bytes(digest), 1 << 512, self.used + 1
        self.left, chosen = divmod(self.left, count)
        self.size //= count
        return chosen

    def of(self, choices: Sequence[Any]) -> Any:
        """One of these."""
        return choices[self.below(len(choices))]


@dataclass(frozen=True, slots=True)
class Step:
    """A primitive with its constant."""

    primitive: Primitive
    constant: Any

    def phrase(self, draw: Draw) -> str:
        """How someone asks for it."""
        return self.filled(draw.of(self.primitive.phrases), "")

    def filled(self, template: str, name: str) -> str:
        """Constants and the name of the variable put in."""
        shown = repr(self.constant)
        return template.format(v=name, k=shown, c=shown, w=shown)


def synthetic(cfg: CodeConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """All primitives, one to three deep."""
    return iter(generated(PRIMITIVES, cfg.programs, cfg.split)[split])


def tiny(cfg: CodeConfig, data: DataConfig, split: Split) -> Iterator[Record]:
    """A few primitives on numbers, one or two deep, for a training of seconds."""
    return iter(generated(TINY, min(cfg.programs, 2500), cfg.split, deepest=2)[split])


@lru_cache(maxsize=2)
def generated(
    primitives: tuple[Primitive, ...], count: int, by: str, deepest: int = DEEPEST
) -> dict[Split, tuple[Record, ...]]:
    """All splits at once, in the order drawn."""
    found: dict[Split, list[Record]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    held: Counter[str] = Counter()
    shapes: dict[tuple[Primitive, ...], str] = {}
    for number in range(count):
        draw = Draw(f"program {number}")
        steps = chain(primitives, draw, deepest)
        source = instruction(steps, draw)
        kinds = tuple(step.primitive for step in steps)
        if kinds not in shapes:
            shapes[kinds] = shape(program(steps))
        split = split_by(by, shapes[kinds], len(steps))
        if source in seen or (split != "train" and held[shapes[kinds]] >= EACH):
            continue
        seen.add(source)
        held[shapes[kinds]] += 1
        examples = tuple(example(steps, draw) for _ in range(PUBLIC + HIDDEN))
        meta = {
            "examples": examples[:PUBLIC],
            "tests": examples[PUBLIC:],
            "depth": len(steps),
            "group": shapes[kinds],
        }
        found[split].append(Record(f"program-{number}", source, program(steps), meta))
    return {split: tuple(records) for split, records in found.items()}


def split_by(by: str, shape: str, depth: int) -> Split:
    """By the program's shape; or by depth, where the shape decides between dev and test."""
    share = hashed_share(shape)
    if by == "depth":
        return "train" if depth < DEEPEST else "dev" if share < 0.3 else "test"
    return "test" if share < 0.06 else "dev" if share < 0.1 else "train"


def chain(primitives: tuple[Primitive, ...], draw: Draw, deepest: int) -> list[Step]:
    """Primitives of which each takes what the one before gives. Depth 1 is rarer, since there are few."""
    depth = (1, *[2] * 4, *[3] * 4)[draw.below(9)]
    fit = {kind: [one for one in primitives if one.takes == kind] for kind in NAMES}
    kind: Kind = draw.of([kind for kind in KINDS if fit[kind]])
    steps: list[Step] = []
    for left in range(min(depth, deepest), 0, -1):
        choices = [one for one in fit[kind] if left == 1 or fit[one.gives]]
        steps.append(Step(one := draw.of(choices), constant(one, draw)))
        kind = one.gives
    return steps


def constant(primitive: Primitive, draw: Draw) -> Any:
    """A number from 2 to 20 (to 6 where it cuts or repeats), a letter, or a made-up word."""
    match primitive.constant:
        case "k":
            few = (
                ("[" in primitive.code and ":" in primitive.code)
                or "text *" in primitive.code
                or "len(w)" in primitive.code
            )
            return 2 + draw.below(5 if few else 19)
        case "c":
            return draw.of("abcdefghiklmnoprstuvz")
        case "w":
            return "".join(draw.of(CONSONANTS) + draw.of(VOWELS) for _ in range(1 + draw.below(2)))
        case _:
            return None


def instruction(steps: Sequence[Step], draw: Draw) -> str:
    """What a person might ask, with one capital letter and a full stop, or without."""
    phrases = [step.phrase(draw) for step in steps]
    text = draw.of(FRAMES[len(steps)]).format(*phrases, g=draw.of(GIVEN[steps[0].primitive.takes]))
    return text[0].upper() + text[1:] + "." if draw.below(3) else text


def program(steps: Sequence[Step]) -> str:
    """The function, in canonical form."""
    name = NAMES[steps[0].primitive.takes]
    lines = [f"def solve({name}):"]
    for number, step in enumerate(steps, start=1):
        *before, value = step.filled(step.primitive.code, name).split("\n")
        name = NAMES[step.primitive.gives]
        lines.extend(before)
        lines.append(f"return {value}" if number == len(steps) else f"{name} = {value}")
    return "\n    ".join(lines)


def shape(code: str) -> str:
    """A hash of the syntax tree without its constants."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
    return blake2b(ast.dump(tree).encode(), digest_size=8).hexdigest()


def example(steps: Sequence[Step], draw: Draw) -> tuple[str, str]:
    """A call and its result, as Python writes them; our own functions compute it, nothing generated is run."""
    kind = steps[0].primitive.takes
    value = argument(kind, draw)
    call = f"solve({value!r})"
    for step in steps:
        value = step.primitive.does(value, step.constant)
    return call, repr(value)


def argument(kind: Kind, draw: Draw) -> Any:
    """Some value of a kind."""
    match kind:
        case "ints":
            return [draw.below(50) - 15 for _ in range(2 + draw.below(7))]
        case "int":
            return draw.below(400) - 100
        case "str":
            return " ".join(word(draw) for _ in range(1 + draw.below(4)))
        case "strs":
            return [word(draw) for _ in range(2 + draw.below(5))]
        case _:
            return {word(draw): draw.below(40) - 10 for _ in range(1 + draw.below(4))}


def word(draw: Draw) -> str:
    """Two to six letters, palindromes and repetitions among them."""
    half = "".join(draw.of(CONSONANTS) + draw.of(VOWELS) for _ in range(1 + draw.below(2)))
    return (half, half + half, half + half[::-1], half + draw.of(CONSONANTS))[draw.below(4)]
