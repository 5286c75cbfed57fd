"""What stands between `[` and `]`, as a finite automaton over characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

ELEMENTS = re.findall(
    r"\w+",
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo "
    "Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
)
AROMATIC = ("b", "c", "n", "o", "p", "s", "as", "se", "te", "si")
GEOMETRIES = [f"@{name}{number}" for name, most in (("SP", 3), ("TB", 20), ("OH", 30)) for number in range(1, most + 1)]
DIGIT = "#"
PARTS: tuple[tuple[bool, tuple[str, ...]], ...] = (
    (False, ("#", *(f"{first}{more}" for first in range(1, 10) for more in ("#", "##")))),  # isotope
    (True, (*ELEMENTS, *AROMATIC, "*")),
    (False, ("@", "@@", *GEOMETRIES)),
    (False, ("H", "H#")),
    (False, ("+", "-", "++", "--", "+#", "-#", "+1#", "-1#")),
    (True, ("]",)),
)
"""(whether it must be there, its spellings; `#` is any digit), in order. Atom maps are no part of an answer."""
SYMBOL = 1
"""The part that names the element; a hydrogen has no chirality."""
State = frozenset[tuple[int, str]]
"""Which part is being spelled, and what of it has been."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """State 0 is right after `[`."""

    moves: tuple[dict[str, int], ...]
    """Of each state: character -> next state; -1 is outside, after `]`."""
    left: tuple[int, ...]
    """Fewest characters from each state to outside."""


@lru_cache(maxsize=1)
def automaton() -> Automaton:
    """By the subset construction."""
    first = frozenset(entered(0))
    numbers: dict[State, int] = {first: 0}
    moves: list[dict[str, int]] = []
    waiting = [first]
    for state in waiting:
        row: dict[str, int] = {}
        for character in sorted(offered(state)):
            after = moved(state, character)
            if (len(PARTS), "") in after:
                row[character] = -1
            else:
                if after not in numbers:
                    numbers[after] = len(numbers)
                    waiting.append(after)
                row[character] = numbers[after]
        moves.append(row)
    return Automaton(tuple(moves), distances(moves))


def entered(part: int) -> Iterable[tuple[int, str]]:
    """The beginnings of a part, and of those after it that can be reached by leaving parts out."""
    for number in range(part, len(PARTS)):
        yield number, ""
        if PARTS[number][0]:
            return
    yield len(PARTS), ""


def offered(state: State) -> set[str]:
    """The characters that lead on."""
    found: set[str] = set()
    for part, prefix in state:
        if part < len(PARTS):
            for spelling in PARTS[part][1]:
                if spelling.startswith(prefix) and len(spelling) > len(prefix):
                    following = spelling[len(prefix)]
                    found.update("0123456789" if following == DIGIT else following)
    return found


def moved(state: State, character: str) -> State:
    """After one character."""
    after: set[tuple[int, str]] = set()
    for part, prefix in state:
        if part == len(PARTS):
            continue
        for symbol in (character, DIGIT) if character.isdigit() else (character,):
            longer = prefix + symbol
            fitting = [spelling for spelling in PARTS[part][1] if spelling.startswith(longer)]
            if fitting:
                after.add((part, longer))
            if longer in fitting:
                after.update(entered(part + (2 if (part, longer) == (SYMBOL, "H") else 1)))
    return frozenset(after)


def distances(moves: list[dict[str, int]]) -> tuple[int, ...]:
    """Breadth first, from outside inwards."""
    left = [1 if -1 in row.values() else 0 for row in moves]
    while not all(left):
        for state, row in enumerate(moves):
            known = [left[after] for after in row.values() if after >= 0 and left[after]]
            if not left[state] and known:
                left[state] = 1 + min(known)
    return tuple(left)
