"""How a program that has been begun can be ended soonest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from tasks.code_synthesis.lexer import HEX, INSIDE, KEYWORDS, OPERATORS, Lexer, Place


class Ending(Lexer):
    """The moves that finish what is open."""

    def complete(self, at: Place) -> Place | None:
        """The token so far is whole, and the text may end here."""
        match at.mode:
            case "line":
                after: Place | None = replace(at, mode="gap", data="", escape="")
            case "gap":
                after = None if at.nest else self.emit(at, "NEWLINE") or at
            case _:
                whole = self.token(at)
                return whole and self.complete(whole)
        while after and len(after.indents) > 1:
            after = self.emit(replace(after, indents=after.indents[:-1]), "DEDENT")
        return after if after and not after.nest and self.grammar.ends(after.config) else None

    def token(self, at: Place) -> Place | None:
        """The token so far, if it is one."""
        match at.mode:
            case "word":
                return self.emit(at, at.data if at.data in KEYWORDS else "NAME")
            case "number":
                return None if at.data in ("e", "sign") else self.emit(at, "NUMBER")
            case "sign":
                return self.signed(at)
            case "quote":
                return self.empty(at) if at.escape else None
            case "gap":
                return at
            case _:
                return None

    def endings(self, at: Place) -> Iterator[str]:
        """Texts that would make the token whole, or begin what may follow; none need be of use."""
        match at.mode:
            case "line":
                yield ""
                for width in (*at.indents, at.indents[-1] + 1):
                    if width > len(at.data):
                        yield " " * (width - len(at.data))
            case "word":
                yield ""
                yield "a"
                for word in KEYWORDS:
                    if word != at.data and word.startswith(at.data):
                        yield word[len(at.data) :]
            case "number":
                yield "0" if at.data in ("e", "sign") else ""
            case "sign":
                yield ""
                if at.data == "!" and at.nest and at.nest[-1][0] in "fs":
                    yield "r"
                for one in OPERATORS:
                    if one != at.data and one.startswith(at.data):
                        yield one[len(at.data) :]
            case "quote":
                yield "" if at.escape else at.quotes
            case "string" | "fstring":
                yield ended(at)
            case "fopen":
                yield "a"
            case "fspec":
                yield "}"
            case _:
                yield ""

    def finishes(self, at: Place) -> bool:
        """Whether `finish` finds a text. Of words, the most places by far, that is quickly seen: any may go on as a name."""
        if at.mode == "word":
            return any(self.grammar.step(at.config, terminal) for terminal in becoming(at.data))
        return self.finish(at) is not None

    def finish(self, at: Place) -> str | None:
        """A short text that ends it; None where there is none."""
        best: tuple[int, str] | None = None
        for ending in self.endings(at):
            after = at
            for letter in ending:
                after = self.read(after, letter) if after else None
            if after is None:
                continue
            found = self.rest(after)
            if found is not None and (best is None or (len(ending) + len(found), ending + found) < best):
                best = (len(ending) + len(found), ending + found)
        return None if best is None else best[1]

    def rest(self, at: Place) -> str | None:
        """The same from where a token may be whole."""
        if self.complete(at):
            return ""
        glued = at.mode in ("word", "number")  # or the next word would be part of it
        match at.mode:
            case "line":
                after = self.indented(at, len(at.data))
            case "fstring":
                return self.through(at, ended(at))
            case "fspec":
                return self.through(at, "}")
            case "fconv":
                after = at
            case "string" | "fopen":
                return None
            case _:
                after = self.token(at)
        if after is None:
            return None
        plan = self.grammar.rest(after.config)
        if at.mode == "line" and plan[0] == "DEDENT":  # too late for this line: something must stand on it
            plan = ["NAME", "NEWLINE", *plan]
        return self.spelled(after, plan, glued=glued)

    def through(self, at: Place, text: str) -> str | None:
        """By way of this text."""
        after: Place | None = at
        for letter in text:
            after = self.read(after, letter) if after else None
        found = None if after is None else self.rest(after)
        return None if found is None else text + found

    def spelled(self, at: Place, plan: Sequence[str], *, glued: bool) -> str | None:
        """The terminals as text."""
        text, level, nest = "", list(at.indents), list(at.nest)
        quotes, in_format, fresh = "", False, False
        for terminal in plan:
            match terminal:
                case "NEWLINE":
                    fresh = True
                    continue
                case "DEDENT":
                    level.pop()
                    continue
                case "INDENT":
                    level.append(level[-1] + 1)
                    continue
                case "FCLOSE":
                    if not in_format:
                        quotes = nest[-1][1:]
                        in_format = nest.pop()[0] == "s"
                    else:
                        in_format = False
                    word = "}"
                case "FEND":
                    word = quotes
                case "(" | "[" | "{":
                    nest.append(word := terminal)
                case ")" | "]" | "}":
                    nest.pop()
                    word = terminal
                case _:
                    word = {"NAME": "a", "NUMBER": "0"}.get(terminal, terminal)
            if fresh:
                text, glued, fresh = text + "\n" + " " * level[-1], False, False
            text += " " + word if glued and word[0] in INSIDE else word
            glued = word[-1] in INSIDE
        return text


@lru_cache(maxsize=1000)
def becoming(data: str) -> tuple[str, ...]:
    """Terminals that a word that begins so may turn out to be."""
    return ("NAME", *sorted(word for word in KEYWORDS if word.startswith(data)))


def ended(at: Place) -> str:
    """What is left of an escape and of the quotes at the end."""
    escape, seen = "", 0
    if at.escape == "\\":
        escape = "n"
    elif at.escape.startswith("\\"):
        escape = "0" * (HEX[at.escape[1]] + 2 - len(at.escape))
    elif at.escape == "}":
        escape = "}"
    else:
        seen = len(at.escape)
    return escape + at.quotes[seen:]
