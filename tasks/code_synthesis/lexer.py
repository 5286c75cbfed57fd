"""Python read letter by letter: which text may still become a program, and how it can be ended soonest.

The dialect is that of `ast.unparse`: no comments, no backslashes between tokens, no line breaks in brackets, decimal numbers, strings
without prefixes but `b`, `f` and `u`. F-strings keep to what Python 3.11 takes. Letters outside ASCII stand in strings alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_letters, digits

from tasks.code_synthesis.grammar import Config, Grammar, terminals

FOREIGN = "\x80"
"""Any letter outside ASCII."""
NAMED = frozenset(ascii_letters + "_")
INSIDE = frozenset(ascii_letters + "_" + digits)
STARTS = INSIDE | frozenset("'\"([{-+~.*@")
"""What a statement may begin with."""
KEYWORDS = frozenset(one for one in terminals() if one.islower() and one.isalpha()) | {"True", "False", "None"}
OPERATORS = frozenset(one for one in terminals() if not one[0].isalpha()) | {"."}
CLOSING = {"(": ")", "[": "]", "{": "}"}
BEGINNINGS = frozenset(word[:end] for word in KEYWORDS for end in range(1, len(word) + 1)) | frozenset("bfu")
"""What a word may still turn out to be; all other words are alike."""
OTHER = "a0"
"""Those."""
ESCAPES = frozenset("\\'\"abfnrtv")
HEX = {"x": 2, "u": 4, "U": 8}
DEEPEST = 30
"""Brackets and blocks inside each other."""
WIDEST = 60
"""Spaces of an indent."""


@dataclass(frozen=True, slots=True)
class Place:
    """All that counts of a text read so far."""

    mode: str
    """`line` (its start), `gap` (between tokens), `word`, `number`, `sign`, `quote`, `string`, `fstring`, `fopen`, `fconv`, `fspec`."""
    config: Config
    indents: tuple[int, ...] = (0,)
    nest: tuple[str, ...] = ()
    """Open brackets; `f'` and `s'` (with the quotes) for an expression inside an f-string, or inside its format."""
    data: str = ""
    """The token so far, as much as counts."""
    quotes: str = ""
    """What ends the string."""
    escape: str = ""
    """After a backslash in a string."""


def begin(grammar: Grammar, rule: str) -> Place:
    """Before the first letter."""
    return Place("line" if rule == "file" else "gap", grammar.begin(rule))


class Lexer:
    """The moves of a place. A move that is None leads nowhere."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar

    def read(self, at: Place, letter: str) -> Place | None:
        """One more letter."""
        match at.mode:
            case "gap":
                return self.gap(at, letter)
            case "line":
                return self.line(at, letter)
            case "word":
                return self.word(at, letter)
            case "number":
                return self.number(at, letter)
            case "sign":
                return self.sign(at, letter)
            case "quote":
                return self.quote(at, letter)
            case "string":
                return self.string(at, letter)
            case "fstring":
                return self.fstring(at, letter)
            case "fopen":
                return self.fopen(at, letter)
            case "fspec":
                return self.fspec(at, letter)
            case _:  # fconv
                return self.gap(at, letter) if letter in ":}" else None

    def emit(self, at: Place | None, terminal: str) -> Place | None:
        """The grammar reads a terminal; then a gap."""
        if at is None:
            return None
        config = self.grammar.step(at.config, terminal)
        return Place("gap", config, at.indents, at.nest) if config else None

    def gap(self, at: Place, letter: str) -> Place | None:
        """Between tokens: what begins here?"""
        if letter == " ":
            return replace(at, mode="gap")
        if letter == "\n":
            after = None if at.nest else self.emit(at, "NEWLINE")
            return after and replace(after, mode="line")
        if letter in NAMED:
            return replace(at, mode="word", data=letter if letter in BEGINNINGS else OTHER)
        if letter in digits:
            return replace(at, mode="number", data="zero" if letter == "0" else "int")
        if letter in "'\"":
            return self.opened(at, letter, "")
        if at.nest and at.nest[-1][0] in "fs":
            if letter == "}":
                after = self.emit(at, "FCLOSE")
                mode = "fstring" if at.nest[-1][0] == "f" else "fspec"
                return after and replace(after, mode=mode, nest=at.nest[:-1], quotes=at.nest[-1][1:])
            if letter == ":" and at.nest[-1][0] == "f":
                after = self.emit(at, "FCOLON")
                return after and replace(after, mode="fspec", nest=at.nest[:-1], quotes=at.nest[-1][1:])
        return self.sign(replace(at, mode="sign", data=""), letter)

    def opened(self, at: Place, letter: str, prefix: str) -> Place | None:
        """A quote; those of f-strings around may not come again inside."""
        if any(one[0] in "fs" and letter == one[1] for one in at.nest):
            return None
        return replace(at, mode="quote", data=prefix, quotes=letter)

    def line(self, at: Place, letter: str) -> Place | None:
        """An indent, counted in `data`."""
        if letter == " ":
            return replace(at, data=at.data + " ") if len(at.data) < WIDEST else None
        if letter == "\n":  # one line may be left blank
            return replace(at, escape="blank") if not at.data and not at.escape else None
        after = self.indented(at, len(at.data))
        return self.gap(after, letter) if after and letter in STARTS else None

    def indented(self, at: Place, width: int) -> Place | None:
        """A logical line begins after so many spaces."""
        if width > at.indents[-1]:
            after = self.emit(at, "INDENT")
            return replace(after, indents=(*at.indents, width)) if after and len(at.indents) < DEEPEST else None
        if self.grammar.step(at.config, "INDENT"):  # a block must begin
            return None
        after = replace(at, mode="gap", data="", escape="")
        while after and width < after.indents[-1]:
            after = self.emit(replace(after, indents=after.indents[:-1]), "DEDENT")
        return after if after and width == after.indents[-1] else None

    def word(self, at: Place, letter: str) -> Place | None:
        """A name or a keyword."""
        if letter in INSIDE:
            text = at.data + letter
            return replace(at, data=text if text in BEGINNINGS else OTHER)
        if letter in "'\"" and at.data in ("b", "f", "u"):
            return self.opened(at, letter, at.data)
        after = self.emit(at, at.data if at.data in KEYWORDS else "NAME")
        return after and self.gap(after, letter)

    def number(self, at: Place, letter: str) -> Place | None:
        """Decimal: 10, 1.5, 1e-05, 2j."""
        match at.data, letter:
            case ("int" | "dot" | "fraction" | "exponent", _) if letter in digits:
                return replace(at, data="fraction" if at.data == "dot" else at.data)
            case ("e" | "sign", _) if letter in digits:
                return replace(at, data="exponent")
            case ("int" | "zero", "."):
                return replace(at, data="dot")
            case ("int" | "zero" | "fraction", "e"):
                return replace(at, data="e")
            case ("e", "+" | "-"):
                return replace(at, data="sign")
            case ("int" | "zero" | "fraction" | "exponent", "j"):
                return replace(at, data="imaginary")
            case _:
                if letter in INSIDE or letter == "." or at.data in ("e", "sign"):
                    return None
                after = self.emit(at, "NUMBER")
                return after and self.gap(after, letter)

    def sign(self, at: Place, letter: str) -> Place | None:
        """An operator, as long as can be."""
        text = at.data + letter
        if text == ".." or any(one.startswith(text) for one in OPERATORS):
            if any(one.startswith(text) and one != text for one in OPERATORS):
                return replace(at, data=text)
            return self.signed(replace(at, data=text))
        if at.data == "!" and at.nest and at.nest[-1][0] in "fs":
            after = self.emit(at, "FCONV") if letter in "rsa" else None
            return after and replace(after, mode="fconv")
        if not at.data or (at.data == "." and letter in digits):
            return None
        after = self.signed(at)
        return after and self.gap(after, letter)

    def signed(self, at: Place) -> Place | None:
        """The operator in `data` is whole."""
        if at.data == "..":
            return self.emit(self.emit(at, "."), ".")
        after = self.emit(at, at.data)
        if after is None or at.data not in "([{)]}":
            return after
        if at.data in CLOSING:
            return replace(after, nest=(*at.nest, at.data)) if len(at.nest) < DEEPEST else None
        return replace(after, nest=at.nest[:-1])

    def quote(self, at: Place, letter: str) -> Place | None:
        """After one quote, or two (`escape` counts): an empty string, or three that begin a long one."""
        if letter == at.quotes:
            if at.escape:
                return self.inside(replace(at, quotes=3 * letter, escape=""))
            return replace(at, escape="2")
        if not at.escape:
            after = self.inside(at)
            return after and self.read(after, letter)
        after = self.empty(at)
        return after and self.gap(after, letter)

    def inside(self, at: Place) -> Place | None:
        """In the string, whose quotes are known."""
        if at.data != "f":
            return replace(at, mode="string")
        after = self.emit(at, "FSTART")
        return after and replace(after, mode="fstring", quotes=at.quotes)

    def empty(self, at: Place) -> Place | None:
        """Two quotes were all."""
        if at.data == "f":
            return self.emit(self.emit(at, "FSTART"), "FEND")
        return self.emit(at, "STRING")

    def string(self, at: Place, letter: str) -> Place | None:
        """Plain: `data` is its prefix."""
        if at.escape.startswith("\\"):
            return self.escaped(at, letter, "x" if at.data == "b" else "xuU")
        if letter == "\\":
            in_fstring = any(one[0] in "fs" for one in at.nest)
            return None if in_fstring else replace(at, escape="\\")
        if letter == FOREIGN and at.data == "b":
            return None
        return self.quoted(at, letter, "STRING")

    def quoted(self, at: Place, letter: str, terminal: str) -> Place | None:
        """A letter that is itself, or one of the quotes at the end, which `escape` counts."""
        if letter == at.quotes[0]:
            if len(at.escape) + 1 == len(at.quotes):
                return self.emit(at, terminal)
            return replace(at, escape=at.escape + letter)
        if letter == "\n" and (len(at.quotes) == 1 or any(one[0] in "fs" for one in at.nest)):
            return None
        return replace(at, escape="") if letter >= " " or letter in "\n\t" else None

    def escaped(self, at: Place, letter: str, coded: str) -> Place | None:
        """After a backslash: one letter, or the digits of a character's number."""
        text = at.escape + letter
        if len(text) == 2:
            if letter in ESCAPES:
                return replace(at, escape="")
            return replace(at, escape=text) if letter in coded else None
        if letter not in "0123456789abcdef" or (text[1] == "U" and not in_unicode(text[2:])):
            return None
        return replace(at, escape="" if len(text) - 2 == HEX[text[1]] else text)

    def fstring(self, at: Place, letter: str) -> Place | None:
        """Its literal parts."""
        if at.escape.startswith("\\"):
            return self.escaped(at, letter, "xuU")
        if at.escape == "}":
            return replace(at, escape="") if letter == "}" else None
        if letter == "\\":
            return replace(at, escape="\\")
        if letter == "{":
            return replace(at, mode="fopen", escape="")
        if letter == "}":
            return replace(at, escape="}")
        return self.quoted(at, letter, "FEND")

    def fopen(self, at: Place, letter: str) -> Place | None:
        """After a brace: two are one letter, otherwise an expression begins. `data` is "s" in a format, where two cannot be."""
        if letter == "{":
            return None if at.data else replace(at, mode="fstring")
        after = self.emit(at, "FOPEN")
        if after is None or len(at.nest) >= DEEPEST:
            return None
        return self.gap(replace(after, nest=(*at.nest, (at.data or "f") + at.quotes)), letter)

    def fspec(self, at: Place, letter: str) -> Place | None:
        """A format, up to the brace that ends it."""
        if letter == "}":
            after = self.emit(at, "FCLOSE")
            return after and replace(after, mode="fstring", quotes=at.quotes)
        if letter == "{":
            return replace(at, mode="fopen", data="s")
        return replace(at, escape="") if letter >= " " and letter not in "'\"\\" else None


def in_unicode(code: str) -> bool:
    """Whether eight hexadecimal digits that begin so can be at most 0010ffff."""
    return "00000000" <= code.ljust(8, "0") <= "0010ffff"
