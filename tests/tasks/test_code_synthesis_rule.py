"""The decoding rule of Python: it admits what people write, and nothing leaves it that does not parse."""

import ast
from functools import lru_cache

import numpy as np
import pytest
import torch

from core.codec.types import BOS, EOS, Codecs, Encoded
from core.data.batch import collate
from core.decode.config import SearchConfig
from core.decode.constraints import teacher_forced
from core.decode.search import search
from core.model.build import build
from core.model.config import RNNConfig
from core.record import Record
from tasks.code_synthesis.canonical import canonical_line, parse, parses_line
from tasks.code_synthesis.codec import CodeTokenizer
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.ending import Ending
from tasks.code_synthesis.grammar import Grammar
from tasks.code_synthesis.lexer import FOREIGN, Place, begin
from tasks.code_synthesis.primitives import PRIMITIVES
from tasks.code_synthesis.rules import PythonRule, python_rule, spelled
from tasks.code_synthesis.synthetic import generated

PROGRAMS = [
    "",
    "x = 1",
    "a.b[0], *c = d = yield x",
    "x: int = 3",
    "(x): int",
    "x += yield",
    "del a, (b.c, d[0])",
    "async def f(a, /, b: int=1, *c, d, e=2, **g) -> int:\n    async with a as b, c:\n        await d\n"
    "    return [x async for x in y if z]",
    "def f(*, a):\n    global b, c\n    nonlocal d\n    raise E from None",
    "lambda a, b=1, *c, d=2, **e: a if b else c",
    "@a.b\n@c(1)\nclass A(B, metaclass=C, *D, **E):\n    '''Doc\n    string.'''\n\n    def f(self):\n        pass",
    "try:\n    pass\nexcept (A, B) as e:\n    pass\nexcept:\n    pass\nelse:\n    pass\nfinally:\n    pass",
    "try:\n    pass\nexcept* A:\n    pass",
    "for a, b in c, d:\n    break\nelse:\n    continue",
    "while (x := f()) is not None:\n    if a:\n        b\n    elif c:\n        d\n    else:\n        e",
    "from . import a as b, c\nfrom ...d.e import *\nimport f.g as h, i",
    "f(a, *b, c=1, *d, e=2, **g, h=3)",
    "f((x for x in y))",
    "{1: 2, **a}\n{*a, b}\n{a: b for a, b in c}\n{}",
    "a[1:2, ::3, ...]\na[*b]\na[:]",
    "not a and b or c not in d < e",
    "-a ** -b @ ~c",
    "f'a{b!r:>{c}}d{{e}}' + f\"{x['y']:d}\"",
    "f'{a + f(b, c=1)}{(lambda x: x)(1)}'",
    "x = 'it\\'s \\n\\x41\\u00e9' + b'\\x00' + \"\" + ''",
    "with (yield):\n    pass",
    "assert a, b",
    "x = 1.5e-07j + 0 + 10.0",
    "print(é) if False else 'é'",
]
WRONG = [
    "f() = 1",
    "a + 1 += 2",
    "def f(a=1, b): pass",
    "f(a=1, b)",
    "f(**a, *b)",
    "(*a)",
    "a not b",
    "x = (1",
    "'abc",
    "0777",
    "1abc",
    "if x:",
    "try:\n    a",
    "return return",
    "del f()",
    "for f() in x: pass",
    "a == not b",
    "from a import",
    "'\\x4'",
    "f'{}'",
    "f'}'",
    "  x",
    "if x:\n    a\n  b",
    "lambda: (yield) = 1",
    "[*a for a in b]",
    "x = = 1",
    "def f(*): pass",
    "import a.b as c.d",
    "with a as f(): pass",
]


@lru_cache(maxsize=1)
def codec() -> CodeTokenizer:
    found = generated(PRIMITIVES, 600, "program")["train"]
    return CodeTokenizer.fit([text for one in found for text in (one.source, one.target)] + 2 * PROGRAMS, 900)


@lru_cache(maxsize=2)
def rule(kind: str) -> PythonRule:
    return PythonRule(codec(), kind)


@lru_cache(maxsize=1)
def ending() -> Ending:
    """One for all: places are numbers of its own."""
    return Ending(Grammar())


def walk(text: str, kind: str = "file") -> list[Place | None]:
    """The place before each letter and at the end."""
    lexer = ending()
    at: Place | None = begin(lexer.grammar, kind)
    found: list[Place | None] = [at]
    for letter in text:
        at = lexer.read(at, letter if letter.isascii() else FOREIGN) if at else None
        found.append(at)
    return found


@pytest.mark.parametrize("text", [text for text in PROGRAMS if "é" not in text.split("'")[0]])
def test_every_part_of_a_program_can_be_ended(text: str) -> None:
    lexer = ending()
    assert ast.parse(text) is not None
    for end, at in enumerate(walk(text)):
        assert at is not None, f"{text[:end]!r} leads nowhere"
        rest = lexer.finish(at)
        assert rest is not None, f"{text[:end]!r} has no end"
        ast.parse(text[:end] + rest)
    last = walk(text)[-1]
    assert last is not None
    assert lexer.complete(last) is not None


@pytest.mark.parametrize("text", [*PROGRAMS, *WRONG])
def test_the_quick_look_at_words_sees_what_a_text_to_the_end_shows(text: str) -> None:
    lexer = ending()
    for at in walk(text):
        for letter in "ian ":
            after = lexer.read(at, letter) if at else None
            assert after is None or lexer.finishes(after) == (lexer.finish(after) is not None), letter


@pytest.mark.parametrize("text", WRONG)
def test_what_does_not_parse_is_never_complete(text: str) -> None:
    assert parse(text) is None
    *_, at = walk(text)
    assert at is None or ending().complete(at) is None


@pytest.mark.parametrize(
    "line",
    ["if x:", "elif not a:", "else:", "except (A, B) as e:", "for a, b in c:", "@a.b", "a = b; c", "while x: pass"],
)
def test_a_header_is_a_line(line: str) -> None:
    lexer = ending()
    for end, at in enumerate(walk(line, "line")):
        assert at is not None
        rest = lexer.finish(at)
        assert rest is not None
        assert canonical_line(line[:end] + rest) is not None, line[:end] + rest
    assert lexer.complete(at) is not None  # pyright: ignore[reportArgumentType, reportPossiblyUnboundVariable]


def test_references_are_legal_token_by_token_with_and_without_a_limit() -> None:
    texts = [text for text in PROGRAMS if "é" not in text] + [
        one.target for one in generated(PRIMITIVES, 600, "program")["dev"]
    ]
    for text in texts:
        ids = codec().encode(text)
        batch = collate([Encoded(np.array([4], dtype=np.int32))], [ids], [0])
        for limit in (None, torch.tensor([2 * len(ids) + 20])):
            legal_TV = teacher_forced(rule("file"), batch, limit)[0]
            wanted_T = batch.wanted_BT[0]
            assert legal_TV.gather(-1, wanted_T[:, None]).all(), text


@pytest.mark.parametrize("kind", ["file", "line"])
def test_whatever_is_drawn_ends_in_time_and_parses(kind: str) -> None:
    draw = np.random.default_rng(1)
    for number in range(40):
        limit = int(draw.integers(2, 60))
        said = [BOS]
        taste = 3 * draw.gumbel(size=codec().size) * (number % 2)
        for step in range(limit):
            legal = rule(kind).legal(rule(kind).history(np.array(said, dtype=np.int32)), limit - step).numpy()
            assert legal.any(), codec().decode(said[1:])
            likes = taste + draw.gumbel(size=len(legal))
            likes[EOS] -= 4 * (number % 3)
            token = int(np.where(legal, likes, -np.inf).argmax())
            if token == EOS:
                break
            said.append(token)
        else:
            pytest.fail(f"no end within {limit}: {codec().decode(said[1:])!r}")
        text = codec().decode(said[1:])
        assert parse(text) is not None if kind == "file" else parses_line(text), text


def test_plans_are_spelled_as_they_go_on() -> None:
    for before, rest in (
        ("if", " a"),
        ("retur", "n"),
        ("x = Tr", "ue"),
        ("x = 'ab", "c'"),
        ("f(a", ")"),
        ("x_", "a"),
        ("i", "mport a"),
    ):
        ids = codec().encode(before)
        more = spelled(codec(), rest, after_word=codec().is_word(ids[-1]))
        assert codec().decode([*ids, *more]) == before + rest


def test_forgetting_changes_nothing() -> None:
    ids = [BOS, *codec().encode("def solve(numbers):\n    return [x ** 2 for x in numbers]")]
    row = np.array(ids, dtype=np.int32)
    fresh = PythonRule(codec(), "file")
    before = fresh.legal(fresh.history(row), 20)
    fresh.forget()
    assert (fresh.legal(fresh.history(row), 20) == before).all()


def test_text_of_no_known_grammar_is_left_alone_but_for_its_end() -> None:
    history = rule("file").history(np.array([BOS, *codec().encode("x = 1 # comment")], dtype=np.int32))
    legal = rule("file").legal(history, 10)
    assert history.place < 0
    assert legal[4:].all()
    assert legal[EOS]  # it parses
    broken = rule("file").history(np.array([BOS, *codec().encode("x = ) # comment")], dtype=np.int32))
    assert not rule("file").legal(broken, 10)[EOS]


def test_only_python_has_a_rule_and_it_can_be_switched_off() -> None:
    codecs = Codecs(codec(), codec())
    assert python_rule(CodeConfig(), codecs) is not None
    assert python_rule(CodeConfig(rule=False), codecs) is None
    assert python_rule(CodeConfig(language="sql"), codecs) is None


def decode_untrained(count: int, kind: str, strategy: str, copy: bool) -> None:
    codecs = Codecs(codec(), codec())
    model = build(RNNConfig(width=16, dropout=0.0, copy=copy), codecs, seed=3)
    with torch.no_grad():  # flat distributions end soon; sharp ones wander
        for weight in model.parameters():
            weight.mul_(3)
    model.eval()
    records = [Record(str(n), f"sort the numbers and add {n} to {'abc' * (n % 5)}") for n in range(count)]
    sources = [Encoded(np.array(codec().encode(one.source), dtype=np.int32)) for one in records]
    cfg = SearchConfig(strategy=strategy, beams=2, n_best=1, length_ratio=1.0, length_extra=20)  # pyright: ignore[reportArgumentType]
    for start in range(0, count, 20):
        batch = collate(sources[start : start + 20], None, range(start, min(start + 20, count)))
        for found in search(model, batch, cfg, rule=rule(kind), seed=5):
            text = codec().decode(found[0].tokens)
            assert found[0].finish == "end", text
            assert parse(text) is not None if kind == "file" else parses_line(text), text


@pytest.mark.parametrize(("kind", "strategy", "copy"), [("file", "beam", False), ("line", "sample", True)])
def test_an_untrained_model_writes_what_parses(kind: str, strategy: str, copy: bool) -> None:
    decode_untrained(20, kind, strategy, copy)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "line"])
@pytest.mark.parametrize("strategy", ["beam", "sample", "greedy"])
def test_a_thousand_times_an_untrained_model_writes_what_parses(kind: str, strategy: str) -> None:
    decode_untrained(1000, kind, strategy, copy=True)


@pytest.mark.slow
def test_functions_of_the_standard_library_are_admitted_at_every_letter() -> None:
    from core.data.cache import default_cache
    from tasks.code_synthesis.docstrings import mined

    lexer = ending()
    records = [record for record in mined(default_cache())["test"] if record.key.startswith("python/")]
    assert len(records) > 50
    for record in records:
        places = walk(record.target)
        assert places[-1] is not None, record.target
        assert lexer.complete(places[-1]), record.target
