"""The grammar of Python 3.11 as pushdown automata that read terminals one by one, with the cheapest way out of every state.

Written from the language reference; assignment targets, the order of arguments and parameters, and starred expressions are part
of it, so that whatever it accepts parses. Left out: `match`, backslashes between tokens, comments, and strings side by side,
none of which a canonical form has (but `match`). Several stacks are followed at once where one terminal does not decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

GRAMMAR = """
file: stmt*
line: simple | head ':' [simple] | '@' named
head: 'if' named | 'elif' named | 'else' | 'while' named | ['async'] 'for' targets 'in' star_exprs | 'try' | 'finally'
  | 'except' ['*'] expr ['as' NAME] | 'except' | ['async'] 'with' withs | ['async'] def_head | class_head
def_head: 'def' NAME '(' [params] ')' ['->' expr]
class_head: 'class' NAME ['(' [args] ')']

stmt: simple NEWLINE | 'if' named block ('elif' named block)* ['else' block] | 'while' named block ['else' block]
  | decorator* ['async'] def_head block | decorator* class_head block
  | ['async'] 'for' targets 'in' star_exprs block ['else' block] | ['async'] 'with' withs block
  | 'try' block ('finally' block | (plain_except+ | star_except+) ['else' block] ['finally' block])
decorator: '@' named NEWLINE
plain_except: 'except' [expr ['as' NAME]] block
star_except: 'except' '*' expr ['as' NAME] block
block: ':' (NEWLINE INDENT stmt+ DEDENT | simple NEWLINE)
withs: with_item (',' with_item)* | '(' with_item (',' with_item)* [','] ')'
with_item: expr ['as' target]

simple: small (';' small)*
small: values | (targets '=')+ values | single augmented values | annotated ':' expr ['=' values]
  | 'pass' | 'break' | 'continue' | 'return' [star_exprs] | 'raise' [expr ['from' expr]] | 'del' dels
  | ('global' | 'nonlocal') NAME (',' NAME)* | 'assert' expr [',' expr] | 'import' module_as (',' module_as)*
  | 'from' (('.' | '...')* module | ('.' | '...')+) 'import' ('*' | name_as (',' name_as)* | '(' name_as (',' name_as)* [','] ')')
augmented: '+=' | '-=' | '*=' | '/=' | '//=' | '%=' | '@=' | '&=' | '|=' | '^=' | '>>=' | '<<=' | '**='
module: NAME ('.' NAME)*
module_as: module ['as' NAME]
name_as: NAME ['as' NAME]
values: star_exprs | yielded
yielded: 'yield' ['from' expr | star_exprs]

targets: target_or_star (',' target_or_star)* [',']
target_or_star: target | '*' target
target: NAME | part | '(' [target | '*' target ',' [targets] | target ',' [targets]] ')' | '[' [targets] ']'
single: NAME | part | '(' single ')'
annotated: NAME | part | '(' single ')'
dels: deleted (',' deleted)* [',']
deleted: NAME | part | '(' [dels] ')' | '[' [dels] ']'
part: atom trailer* ('.' NAME | '[' slices ']')

star_exprs: star_expr (',' star_expr)* [',']
star_expr: expr | '*' sum
named: expr | NAME ':=' expr
expr: choice ['if' choice 'else' expr] | 'lambda' [plain_params] ':' expr
choice: inversion (('and' | 'or') inversion)*
inversion: 'not'* sum (comparison sum)*
comparison: '<' | '>' | '==' | '>=' | '<=' | '!=' | 'in' | 'not' 'in' | 'is' ['not']
sum: sign* ['await'] primary (binary sign* ['await'] primary)*
sign: '+' | '-' | '~'
binary: '+' | '-' | '*' | '/' | '//' | '%' | '@' | '&' | '|' | '^' | '>>' | '<<' | '**'
primary: atom trailer*
trailer: '.' NAME | '(' [args | named clauses] ')' | '[' slices ']'
atom: NAME | NUMBER | STRING | 'True' | 'False' | 'None' | '...' | '(' [group] ')' | '[' [items | named clauses] ']' | '{' [braces] '}'
  | FSTART (FOPEN inside FCLOSE)* FEND
inside: choice ['if' choice 'else' choice] [FCONV] [FCOLON (FOPEN choice [FCONV] FCLOSE)*]
group: yielded | named [clauses] | (named | '*' sum) ',' [items]
items: item (',' item)* [',']
item: named | '*' sum
braces: items | named clauses | pair (',' pair)* [','] | expr ':' expr clauses
pair: expr ':' expr | '**' sum
clauses: (['async'] 'for' targets 'in' choice ('if' choice)*)+
slices: slice (',' slice)* [',']
slice: named | '*' sum | [expr] ':' [expr] [':' [expr]]
args: positional (',' positional)* [',' keywords] [','] | keywords [',']
positional: named | '*' expr
keywords: keyword (',' keyword)* (',' doubled)* | doubled (',' doubled)*
keyword: NAME '=' expr | '*' expr
doubled: NAME '=' expr | '**' expr
"""
PARAMETERS = """
{all}: {first} [',' {star}] [',' {last}] [','] | {star} [',' {last}] [','] | {last} [',']
{first}: {one} (',' {one})* [',' '/' (',' {one})*] (',' {set})* | {one} (',' {one})* (',' {set})+ ',' '/' (',' {set})*
  | {set} (',' {set})* [',' '/' (',' {set})*]
{star}: '*' {one} (',' ({one} | {set}))* | '*' (',' ({one} | {set}))+
{last}: '**' {one}
{set}: {one} '=' expr
"""
DEFINED = {name: name for name in ("first", "star", "last", "one", "set")}
LAMBDA = {name: f"plain_{name}" for name in DEFINED}
GRAMMAR += PARAMETERS.format(all="params", **DEFINED) + "one: NAME [':' expr]\n"
GRAMMAR += PARAMETERS.format(all="plain_params", **LAMBDA) + "plain_one: NAME\n"

COSTS = {"INDENT": 30, "NEWLINE": 4, "DEDENT": 0, "FSTART": 30, "STRING": 9, "NUMBER": 3, "NAME": 2}
"""What the cheapest way out avoids; other terminals cost 2 a letter, which may be a token each."""
TOKEN = re.compile(r"\s*('[^']*'|\w+|[][()|*+:])")


@dataclass(slots=True)
class Network:
    """One deterministic automaton a rule, its edges terminals and calls of rules; states are numbers across all rules."""

    start: dict[str, int] = field(default_factory=dict[str, int])
    edges: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    final: list[bool] = field(default_factory=list[bool])


def built() -> Network:
    """The grammar compiled."""
    rules: dict[str, str] = {}
    for chunk in re.split(r"\n(?=\w+:)", GRAMMAR.strip()):
        name, body = chunk.split(":", 1)
        rules[name] = body
    network = Network()
    for name, body in rules.items():
        determinise(name, Pieces(TOKEN.findall(body)), network)
    assert network.start.keys().isdisjoint(one.strip("'") for one in TOKEN.findall(GRAMMAR) if one[0] == "'")
    return network


class Pieces:
    """A rule's right side -> a nondeterministic automaton, by Thompson's construction."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens, self.at = tokens, 0
        self.moves: list[list[tuple[str, int]]] = []
        self.begin, self.end = self.alternatives()

    def new(self) -> int:
        """A state."""
        self.moves.append([])
        return len(self.moves) - 1

    def alternatives(self) -> tuple[int, int]:
        begin, end = self.new(), self.new()
        while True:
            first, last = self.sequence()
            self.moves[begin].append(("", first))
            self.moves[last].append(("", end))
            if self.tokens[self.at : self.at + 1] != ["|"]:
                return begin, end
            self.at += 1

    def sequence(self) -> tuple[int, int]:
        begin = last = self.new()
        while self.at < len(self.tokens) and self.tokens[self.at] not in "|)]":
            first, after = self.repeated()
            self.moves[last].append(("", first))
            last = after
        return begin, last

    def repeated(self) -> tuple[int, int]:
        token = self.tokens[self.at]
        self.at += 1
        if token in "([":
            begin, end = self.alternatives()
            self.at += 1
            if token == "[":
                self.moves[begin].append(("", end))
        else:
            begin, end = self.new(), self.new()
            self.moves[begin].append((token.strip("'"), end))
        if self.tokens[self.at : self.at + 1] in (["*"], ["+"]):
            outer, last = self.new(), self.new()
            self.moves[outer].append(("", begin))
            self.moves[end] += [("", begin), ("", last)]
            if self.tokens[self.at] == "*":
                self.moves[outer].append(("", last))
            self.at += 1
            return outer, last
        return begin, end

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        """All that is reached without reading."""
        found, todo = set(states), list(states)
        while todo:
            for symbol, after in self.moves[todo.pop()]:
                if not symbol and after not in found:
                    found.add(after)
                    todo.append(after)
        return frozenset(found)


def determinise(name: str, pieces: Pieces, network: Network) -> None:
    """The subset construction, its states numbered after those there are."""
    base = len(network.edges)
    begin = pieces.closure([pieces.begin])
    number, queue = {begin: 0}, [begin]
    network.start[name] = base
    for states in queue:
        found: dict[str, set[int]] = {}
        for state in states:
            for symbol, after in pieces.moves[state]:
                if symbol:
                    found.setdefault(symbol, set()).add(after)
        edges: dict[str, int] = {}
        for symbol in sorted(found):
            after = pieces.closure(found[symbol])
            if after not in number:
                number[after] = len(number)
                queue.append(after)
            edges[symbol] = base + number[after]
        network.edges.append(edges)
        network.final.append(pieces.end in states)


Exit = tuple[int, tuple[str, ...]]
"""A cost, and the terminals that leave a rule."""
Config = frozenset[int]
"""Stacks, each named by its top node."""


class Grammar:
    """Stacks are nodes (state, node below), so that equal stacks are equal numbers; 0 is the empty one."""

    def __init__(self) -> None:
        self.network = built()
        self.exits = way_out(self.network)
        self.nodes: list[tuple[int, int]] = [(-1, 0)]
        self.costs: list[int] = [0]
        self.number: dict[tuple[int, int], int] = {}
        self.first: dict[int, dict[str, list[tuple[tuple[int, ...], int]]]] = {}
        self.stepped: dict[tuple[Config, str], Config] = {}

    def begin(self, rule: str) -> Config:
        """Before the first terminal."""
        return frozenset([self.node(self.network.start[rule], 0)])

    def node(self, state: int, below: int) -> int:
        """A stack; a rule that can only end is left at once."""
        while self.network.final[state] and not self.network.edges[state] and below:
            state, below = self.nodes[below]
        key = (state, below)
        if (found := self.number.get(key)) is None:
            found = self.number[key] = len(self.nodes)
            self.nodes.append(key)
            self.costs.append(self.exits[state][0] + self.costs[below])
        return found

    def step(self, config: Config, terminal: str) -> Config:
        """After one more terminal; empty where it cannot come."""
        key = (config, terminal)
        if (found := self.stepped.get(key)) is None:
            after: set[int] = set()
            for top in config:
                node = top
                while node:
                    state, below = self.nodes[node]
                    for frames, last in self.ahead(state).get(terminal, ()):
                        under = below
                        for frame in frames:
                            under = self.node(frame, under)
                        after.add(self.node(last, under))
                    if not self.network.final[state]:
                        break
                    node = below
            found = self.stepped[key] = frozenset(after)
        return found

    def ahead(self, state: int) -> dict[str, list[tuple[tuple[int, ...], int]]]:
        """Terminals that may be read inside this rule -> (frames to push, state reached). No rule called is empty."""
        if (found := self.first.get(state)) is None:
            found = {}
            for symbol, after in self.network.edges[state].items():
                if symbol not in self.network.start:
                    found.setdefault(symbol, []).append(((), after))
                    continue
                keep = () if self.network.final[after] and not self.network.edges[after] else (after,)
                for terminal, ways in self.ahead(self.network.start[symbol]).items():
                    found.setdefault(terminal, []).extend((((*keep, *frames), last)) for frames, last in ways)
            self.first[state] = found
        return found

    def ends(self, config: Config) -> bool:
        """Whether nothing more need come."""
        for top in config:
            node = top
            while node and self.network.final[self.nodes[node][0]]:
                node = self.nodes[node][1]
            if not node:
                return True
        return False

    def cost(self, config: Config) -> int:
        """Of the cheapest way to the end."""
        return min(self.costs[node] for node in config)

    def rest(self, config: Config) -> list[str]:
        """The terminals of that way."""
        node = min(config, key=lambda node: (self.costs[node], node))
        found: list[str] = []
        while node:
            state, node = self.nodes[node]
            found.extend(self.exits[state][1])
        return found


def way_out(network: Network) -> Mapping[int, Exit]:
    """From each state, by relaxation: rules are few."""
    best: dict[int, Exit] = {state: (0, ()) for state, final in enumerate(network.final) if final}
    changed = True
    while changed:
        changed = False
        for state, edges in enumerate(network.edges):
            for symbol, after in edges.items():
                inner = (
                    best.get(network.start[symbol])
                    if symbol in network.start
                    else (COSTS.get(symbol, 2 * len(symbol)), (symbol,))
                )
                outer = best.get(after)
                if inner is None or outer is None:
                    continue
                cost = inner[0] + outer[0]
                if state not in best or cost < best[state][0]:
                    best[state] = (cost, (*inner[1], *outer[1]))
                    changed = True
    return best


@lru_cache(maxsize=1)
def terminals() -> frozenset[str]:
    """All of them."""
    network = built()
    return frozenset(symbol for edges in network.edges for symbol in edges if symbol not in network.start)
