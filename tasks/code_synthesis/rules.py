"""The decoding rule: every finished hypothesis parses. A pushdown automaton says which tokens leave a way to the end, and the
parser itself has the last word on the end symbol.

A state is the history alone; what is known of a history is kept here, and worked out again where it was forgotten. So that every
hypothesis can end within its limit, each history knows one way to the end, token by token, and a token is legal only if there is
one after it that fits in what remains.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, SPECIALS, Codecs
from core.data.batch import Batch
from core.decode.rules import Rule, SearchOnly
from core.model.state import State
from tasks.code_synthesis.canonical import parse, parses_line
from tasks.code_synthesis.codec import BYTES, CUT, FIRST, WORD, CodeTokenizer
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.ending import Ending
from tasks.code_synthesis.grammar import Grammar
from tasks.code_synthesis.lexer import FOREIGN, Place, begin

# B batch, K hypotheses, t tokens said (BOS first), V vocabulary

NEVER = 32_000
"""The cost of a token that leads nowhere."""
HISTORIES, PLACES = 30_000, 400_000
"""So many are remembered."""
MASK_BYTES = 64 << 20
"""So much of masks."""


def python_rule(cfg: CodeConfig, codecs: Codecs) -> Rule | None:
    """None where the language has no rule, or `task.rule` is off."""
    if not cfg.rule or not isinstance(codecs.target, CodeTokenizer):
        return None
    match cfg.language:
        case "python":
            return PythonRule(codecs.target, "file")
        case "python-line":
            return PythonRule(codecs.target, "line")
        case _:
            return None


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the tokens of a hypothesis."""

    place: int
    """-1: no automaton knows where this is; then the rule only judges the end."""
    after_word: bool
    tokens: tuple[int, ...]
    plan: tuple[int, ...]
    """A way to the end."""
    ends: bool
    """It parses as it is."""


class PythonRule(SearchOnly):
    """For programs, or for lines that may be headers."""

    def __init__(self, codec: CodeTokenizer, rule: str) -> None:
        self.codec, self.rule = codec, rule
        self.most_masks = max(MASK_BYTES // (2 * codec.size), 500)
        self.tries = {after_word: trie(codec, after_word=after_word) for after_word in (False, True)}
        self.forget()

    def forget(self) -> None:
        """Begin anew: all of it can be found again."""
        self.lexer = Ending(Grammar())
        self.places: list[Place] = []
        self.number: dict[Place, int] = {}
        self.moves: list[dict[str, int]] = []
        self.whole: dict[int, bool] = {}
        self.plans: dict[tuple[int, bool], tuple[int, ...]] = {}
        self.said: dict[tuple[str, bool], tuple[int, ...]] = {}
        self.masks: OrderedDict[tuple[int, bool], Tensor] = OrderedDict()
        self.histories: OrderedDict[bytes, History] = OrderedDict()

    def start(self, batch: Batch, beams: int = 1) -> State:
        """Nothing said."""
        return {"said": batch.target.new_zeros((batch.size, beams, 0))}

    def step(self, state: State, token_BK: Tensor, remaining_BK: Tensor) -> tuple[State, Tensor]:
        """See `Rule`."""
        if len(self.places) > PLACES:
            self.forget()
        said_BKt = torch.cat([state["said"], token_BK[..., None]], -1)
        flat = np.ascontiguousarray(said_BKt.flatten(0, 1).cpu().numpy().astype(np.int32))
        legal = torch.stack(
            [
                self.legal(self.history(row), remaining)
                for row, remaining in zip(flat, remaining_BK.flatten().tolist(), strict=True)
            ]
        )
        return {"said": said_BKt}, legal.view(*token_BK.shape, -1).to(token_BK.device)

    def legal(self, history: History, remaining: int) -> Tensor:
        """Bool [V]. A comparison with what int16 cannot hold would wrap around."""
        if history.place < 0:
            legal_V = torch.ones(self.codec.size, dtype=torch.bool)
            legal_V[: len(SPECIALS)] = False
        else:
            legal_V = self.costs(history.place, history.after_word) <= min(remaining - 2, NEVER - 1)
            if history.plan:
                legal_V[history.plan[0]] = True
        legal_V[EOS] = history.ends
        return legal_V

    def history(self, row: np.ndarray) -> History:
        """Of these tokens, BOS first; found from the longest part that is known."""
        key = row.tobytes()
        known = self.histories.get(key)
        if known is not None:
            self.histories.move_to_end(key)
            return known
        size = row.itemsize
        length = len(row) - 1
        while length and (known := self.histories.get(key[: length * size])) is None:
            length -= 1
        for end in range(length + 1, len(row) + 1):
            token = int(row[end - 1])
            known = self.first() if known is None and token == BOS else self.after(known, token)
            self.histories[key[: end * size]] = known
        while len(self.histories) > HISTORIES:
            self.histories.popitem(last=False)
        assert known is not None
        return known

    def first(self) -> History:
        """Nothing but BOS."""
        place = self.name(begin(self.lexer.grammar, self.rule))
        return History(place, False, (), self.plan(place, after_word=False), self.parses(()) and self.complete(place))

    def after(self, before: History | None, token: int) -> History:
        """One token more."""
        if before is None or token < len(SPECIALS):
            return History(-1, False, before.tokens if before else (), (), False)
        tokens = (*before.tokens, token)
        after_word = token >= self.codec.size or self.codec.is_word(token)
        place = before.place
        for letter in letters(self.codec, token, after_word=before.after_word) if token < self.codec.size else "\0":
            place = self.move(place, letter) if place >= 0 else -1
        if place < 0:
            return History(-1, after_word, tokens, (), self.parses(tokens))
        plan = self.plan(place, after_word=after_word)
        if before.plan[:1] == (token,) and len(before.plan) - 1 < len(plan):
            plan = before.plan[1:]
        return History(place, after_word, tokens, plan, self.complete(place) and self.parses(tokens))

    def parses(self, tokens: tuple[int, ...]) -> bool:
        """The last word. Tokens of other vocabularies are not known here."""
        if any(token >= self.codec.size for token in tokens):
            return True
        text = self.codec.decode(tokens)
        return parse(text) is not None if self.rule == "file" else parses_line(text)

    def complete(self, place: int) -> bool:
        """Whether the automaton could stop."""
        if (found := self.whole.get(place)) is None:
            found = self.whole[place] = self.lexer.complete(self.places[place]) is not None
        return found

    def name(self, place: Place | None) -> int:
        """The number of a place from which the end can be reached, else -1."""
        if place is None:
            return -1
        if (found := self.number.get(place)) is None:
            found = self.number[place] = len(self.places)
            self.places.append(place)
            self.moves.append({})
            if not self.lexer.finishes(place):
                self.number[place] = found = -1
        return found

    def move(self, place: int, letter: str) -> int:
        """The place after one letter more."""
        moves = self.moves[place]
        if (found := moves.get(letter)) is None:
            found = moves[letter] = self.name(self.lexer.read(self.places[place], letter))
        return found

    def plan(self, place: int, *, after_word: bool) -> tuple[int, ...]:
        """Tokens that end it."""
        key = (place, after_word)
        if (found := self.plans.get(key)) is None:
            text = self.lexer.finish(self.places[place]) or ""
            if (found := self.said.get((text, after_word))) is None:  # many places end alike
                found = self.said[text, after_word] = tuple(spelled(self.codec, text, after_word=after_word))
            self.plans[key] = found
        return found

    def costs(self, place: int, after_word: bool) -> Tensor:
        """int16 [V]: how many tokens must follow each token before the end symbol; NEVER where it leads nowhere."""
        key = (place, after_word)
        if (found := self.masks.get(key)) is not None:
            self.masks.move_to_end(key)
            return found
        costs = np.full(self.codec.size, NEVER, dtype=np.int16)
        todo: list[tuple[dict[str, Any], int]] = [(self.tries[after_word], place)]
        while todo:
            node, here = todo.pop()
            for letter, below in node.items():
                if letter == "":
                    for token in cast("list[int]", below):
                        costs[token] = len(self.plan(here, after_word=self.codec.is_word(token)))
                elif (there := self.move(here, letter)) >= 0:
                    todo.append((below, there))
        found = self.masks[key] = torch.from_numpy(costs)
        while len(self.masks) > self.most_masks:
            self.masks.popitem(last=False)
        return found


def trie(codec: CodeTokenizer, *, after_word: bool) -> dict[str, Any]:
    """The text of every token, letter by letter; at the end of one stand its ids, under ""."""
    root: dict[str, Any] = {}
    for token in range(len(SPECIALS), codec.size):
        if codec.is_word(token) and not codec.begins_word(token) and not after_word:
            continue  # nothing that it could continue
        node = root
        for letter in letters(codec, token, after_word=after_word):
            node = node.setdefault(letter, {})
        node.setdefault("", []).append(token)
    return root


def letters(codec: CodeTokenizer, token: int, *, after_word: bool) -> str:
    """What a token adds to the text, all letters outside ASCII alike."""
    if token < FIRST:
        text = chr(BYTES[token - len(SPECIALS)])
    else:
        text = codec.spelled(token)
        if after_word and codec.begins_word(token):
            text = " " + text
    return text if text.isascii() else "".join(letter if letter.isascii() else FOREIGN for letter in text)


def spelled(codec: CodeTokenizer, text: str, *, after_word: bool) -> list[int]:
    """Tokens of a text that goes on after a word, or after something else."""
    if not after_word:
        return codec.encode(text)
    end = next((at for at, letter in enumerate(text) if letter not in WORD), len(text))
    ids = [token for piece in CUT.findall(text[:end]) for token in codec.word(piece, continues=True)]
    return ids + codec.encode("a" + text[end:])[1:]
