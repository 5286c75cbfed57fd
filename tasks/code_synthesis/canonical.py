"""When two pieces of code are the same: a canonical form for each language, None where there is none."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable

from core.errors import BadRecord
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.regexes import canonical_regex

Canonical = Callable[[str], str | None]
LONGEST = 200_000
"""Characters; what is longer is not parsed."""
HEADS = (  # (lines before, the header with lines after) that make a program of it
    ("", "{code}\n    pass"),
    ("if _:\n    pass\n", "{code}\n    pass"),
    ("try:\n    pass\n", "{code}\n    pass"),
    ("try:\n    pass\nexcept:\n    pass\n", "{code}\n    pass"),
    ("", "{code}\n    pass\nfinally:\n    pass"),
    ("", "{code}\ndef _():\n    pass"),
    ("match _:\n", "    {code}\n        pass"),
)
SYMBOL = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\w+|[<>!=]=|<>|\|\||\s+|.", re.DOTALL)
KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "select distinct from where group by having order limit offset as on and or not in is null like between exists union all "
        "except intersect join left right inner outer natural cross asc desc case when then else end count sum avg min max",
    )
)


def canonical(cfg: CodeConfig) -> Canonical:
    """The form of `task.language`."""
    match cfg.language:
        case "python":
            return canonical_python
        case "python-line":
            return canonical_line
        case "sql":
            return canonical_sql
        case "regex":
            return canonical_regex
        case "none":
            return lambda text: text


def canonical_python(text: str) -> str | None:
    """As `ast.unparse` writes it: no comments, four spaces, single quotes where they will do. Docstrings stay."""
    return written(parse(text))


def written(tree: ast.Module | None) -> str | None:
    """The tree as text; None where it is too deep to be written."""
    try:
        return None if tree is None else ast.unparse(tree)
    except (ValueError, RecursionError, MemoryError):
        return None


def canonical_line(text: str) -> str | None:
    """The same for one line, which may be a header: it is completed, written, and what completed it is taken away."""
    code = text.strip()
    tree = parse(code)
    if tree is not None and (whole := written(tree)) is not None:
        lines = whole.split("\n")
        if len(tree.body) > 1 and len(tree.body) == len(lines):  # a; b
            return "; ".join(lines)
        if len(lines) == 2 and lines[0].endswith(":") and "\n" not in code:  # if a: b
            return f"{lines[0]} {lines[1].strip()}"
        return "\n".join(lines)
    if "\n" in code:
        return None
    for before, after in HEADS:
        if (found := completed(code, before, after)) is not None:
            return found
    return None


def completed(code: str, before: str, after: str) -> str | None:
    """The header's canonical form, if these lines make a program of it."""
    whole = written(parse(before + after.format(code=code)))
    if whole is None:
        return None
    lines = whole.split("\n")
    return lines[before.count("\n")].strip()


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None."""
    if len(text) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in other people's code
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parses_line(text: str) -> bool:
    """Whether it is one line of Python, completed as a header if need be."""
    return canonical_line(text) is not None


def canonical_sql(text: str) -> str | None:
    """Keywords in capitals, one space between symbols, no semicolon at the end. Names and strings stay as they are."""
    symbols = [one for one in SYMBOL.findall(text) if not one.isspace()]
    while symbols and symbols[-1] == ";":
        symbols.pop()
    return " ".join(one.upper() if one.lower() in KEYWORDS else one for one in symbols) or None


def read_target(cfg: CodeConfig, value: object) -> str:
    """Code as the model is to write it; refused where it is no code of the language."""
    if not isinstance(value, str):
        raise BadRecord(f"{type(value).__name__}; a text is right")
    if cfg.language in ("sql", "none"):
        return value
    form = canonical(cfg)(value)
    if form is None:
        raise BadRecord(f"no {cfg.language} code: {reason(cfg, value)}")
    return form if cfg.normalise and cfg.language != "regex" else value


def reason(cfg: CodeConfig, text: str) -> str:
    """What is wrong with it, on one line."""
    shown = " ".join(text.split())[:60]
    if cfg.language == "python":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        except SyntaxError as error:
            return f"{error.msg} at line {error.lineno} of {shown!r}"
        except (ValueError, RecursionError, MemoryError) as error:
            return f"{error or 'nested too deep'}: {shown!r}"
    return repr(shown)
