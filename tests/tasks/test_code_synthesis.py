"""Code synthesis: its tokenizer, its generated data, its forms and files. Nothing here needs a network or runs generated code."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec.types import UNK
from core.config import Impossible
from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord, DataError
from core.record import SPLITS, Hypothesis, Prediction, Record, Split
from tasks.code_synthesis import TASK
from tasks.code_synthesis.canonical import canonical, canonical_line, canonical_python, canonical_sql, read_target
from tasks.code_synthesis.codec import CUT, CodeTokenizer
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.primitives import PRIMITIVES
from tasks.code_synthesis.synthetic import Step, generated, program, shape

FOUND: dict[Split, tuple[Record, ...]] = generated(PRIMITIVES, 2500, "program")
CODEC = CodeTokenizer.fit([text for one in FOUND["train"] for text in (one.source, one.target)], 900)
CODE = st.text(
    alphabet=st.sampled_from(list("ab_B1 \n\t\r=+-*/()[]{}'\"#\\.,:é€\U0001f600\x00\x7f\u2028")), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), CODE))
def test_any_text_comes_back(text: str) -> None:
    ids = CODEC.encode(text)
    assert CODEC.decode(ids) == text
    assert UNK not in ids


def test_text_that_is_no_unicode_comes_back_as_the_replacement_character() -> None:
    assert CODEC.decode(CODEC.encode("a\ud800b")) == "a\ufffdb"
    assert CODEC.decode(CODEC.encode("\ud83d\ude00")) == "\U0001f600"  # halves of one character


def test_what_is_copied_is_the_same_tokens_on_both_sides() -> None:
    said, written = CODEC.encode("append 'zomiku' to the rows_of_x12"), CODEC.encode("rows_of_x12 + 'zomiku'")
    for part in ("zomiku", "rows_of_x12"):
        ids = CODEC.encode(part)
        for whole in (said, written):
            assert any(whole[at : at + len(ids)] == ids for at in range(len(whole))), part


@given(st.lists(st.integers(4, CODEC.size - 1), max_size=30))
def test_any_ids_are_some_text(ids: list[int]) -> None:
    text = CODEC.decode(ids)
    assert CODEC.decode(CODEC.encode(text)) == text


def test_words_that_follow_each_other_need_no_token_for_the_space() -> None:
    assert len(CODEC.encode("sort the numbers")) == 3
    assert [CODEC.label(one) for one in CODEC.encode("sort  the")][1] == "␣"
    assert len(CODEC.encode("10")) == 2


@pytest.mark.parametrize("letter", ["(", "a", "A", "_", " ", "\n", "é", "9", "=", "\\"])
def test_cutting_takes_linear_time(letter: str) -> None:
    assert "".join(CUT.findall(letter * 300_000)) == letter * 300_000


def test_programs_of_one_shape_are_in_one_split() -> None:
    places: dict[str, set[str]] = {}
    for split in SPLITS:
        for record in FOUND[split]:
            places.setdefault(shape(record.target), set()).add(split)
    assert all(len(splits) == 1 for splits in places.values())
    assert min(len(FOUND[split]) for split in SPLITS) > 40
    assert max(Counter(record.meta["group"] for record in FOUND["test"]).values()) <= 6


def test_the_shape_is_the_tree_without_its_constants() -> None:
    assert shape("def f(x):\n    return x + 2") == shape("def f(x):\n    return x + 30")
    assert shape("def f(x):\n    return x + 2") != shape("def f(x):\n    return x - 2")
    assert shape("def f(x):\n    return x + 2") != shape("def f(x):\n    return x + 'a'")


def test_split_by_depth_trains_on_shallow_programs_alone() -> None:
    found = generated(PRIMITIVES, 1200, "depth")
    depths = {split: {record.meta["depth"] for record in found[split]} for split in SPLITS}
    assert depths == {"train": {1, 2}, "dev": {3}, "test": {3}}


def test_generated_targets_are_canonical_and_instructions_differ() -> None:
    records = [record for split in SPLITS for record in FOUND[split]]
    assert all(canonical_python(record.target) == record.target for record in records)
    assert len({record.source for record in records}) == len(records)
    assert not any("{" in record.source for record in records)


@pytest.mark.parametrize("number", range(len(PRIMITIVES)))
def test_every_primitive_is_a_program_and_does_what_its_code_says(number: int) -> None:
    """The code is our own table's, so it may be run here; in the product it is not."""
    primitive = PRIMITIVES[number]
    constants: dict[str, Any] = {"k": 3, "c": "a", "w": "zu", "": None}
    arguments: dict[str, list[Any]] = {
        "ints": [[], [3], [4, -7, 12, 3, 3, 0]],
        "int": [0, -13, 208],
        "str": ["", "banana", "zu ab ab"],
        "strs": [[], ["ab", "bana", "ab", "zuu"]],
        "dict": [{}, {"a": 1, "b": 9, "ca": -2}],
    }
    step = Step(primitive, constants[primitive.constant])
    code = program([step])
    assert ast.unparse(ast.parse(code)) == code
    names: dict[str, Any] = {}
    exec(code, names)
    for argument in arguments[primitive.takes]:
        assert names["solve"](argument) == primitive.does(argument, step.constant), code
    for phrase in primitive.phrases:
        assert set(re.findall(r"\{(\w)\}", phrase)) == ({primitive.constant} if primitive.constant else set())


def test_phrases_tell_primitives_of_one_kind_apart() -> None:
    seen: dict[tuple[str, str], str] = {}
    for primitive in PRIMITIVES:
        for phrase in primitive.phrases:
            assert seen.setdefault((primitive.takes, phrase), primitive.code) == primitive.code, phrase


def test_python_is_the_same_in_whatever_layout() -> None:
    assert canonical_python('x  = "a" # said\n') == "x = 'a'"
    assert canonical_python("def f():\n  '''Doc.'''\n  return(1)") == canonical_python(
        'def f():\n    "Doc."\n    return 1'
    )
    assert canonical_python("x = ") is None
    assert canonical_python("\0") is None
    assert canonical_python("(" * 5000) is None


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("if x  :", "if x:"),
        ("elif not self . x :", "elif not self.x:"),
        ("else :", "else:"),
        ("except ( A , B ) as e :", "except (A, B) as e:"),
        ("try :", "try:"),
        ("finally:", "finally:"),
        ("@ property", "@property"),
        ("def f ( self , * , a = 1 ) :", "def f(self, *, a=1):"),
        ("class A ( B ) :", "class A(B):"),
        ("case [1, *rest]:", "case [1, *rest]:"),
        ("with open ( f ) as g :", "with open(f) as g:"),
        ("return x [ 1 : ]", "return x[1:]"),
        ("if a: return 1", "if a: return 1"),
        ("a = 1; b = 2", "a = 1; b = 2"),
    ],
)
def test_a_line_may_be_a_header(line: str, form: str) -> None:
    assert canonical_line(line) == form
    assert canonical_line(form) == form


@pytest.mark.parametrize("line", ["if x", "else", "x = ", "except:\nelse:", "for x:", ")", "    "])
def test_what_is_no_line_has_no_form(line: str) -> None:
    assert not canonical_line(line)


def test_sql_is_the_same_in_whatever_case_and_spacing() -> None:
    assert canonical_sql("select  a.b\nfrom T as a where a.c='X y' ;") == canonical_sql(
        "SELECT a . b FROM T AS a WHERE a.c = 'X y'"
    )
    assert canonical_sql("select x from T where c = 'x'") != canonical_sql("select x from T where c = 'X'")


def test_targets_are_read_in_canonical_form_or_refused() -> None:
    assert read_target(CodeConfig(), "x=1 # one") == "x = 1"
    assert read_target(CodeConfig(normalise=False), "x=1 # one") == "x=1 # one"
    assert read_target(CodeConfig(language="none"), "x = ") == "x = "
    with pytest.raises(BadRecord, match=r"no python code: .*line 1 of 'x ='"):
        read_target(CodeConfig(), "x = ")
    with pytest.raises(BadRecord, match="no regex code"):
        read_target(CodeConfig(language="regex"), "( a")
    with pytest.raises(BadRecord, match="a text is right"):
        read_target(CodeConfig(), 3)


def read(folder: Path, split: Split = "train", bad: Any = "stop") -> list[Record]:
    data = DataConfig(source="files", path=(str(folder),), holdout=0, bad=bad)
    return read_records(TASK, CodeConfig(language="python-line"), data, split).records


def test_parallel_files_are_read_and_refused_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "train.nl").write_text("call f\n\nif x\nreturn it\n")
    (tmp_path / "train.code").write_text("f ( )\n\nif x :\nreturn it )\n")
    with pytest.raises(BadRecord, match=r"train\.nl:4: no python-line code: 'return it \)'"):
        read(tmp_path)
    assert [record.target for record in read(tmp_path, bad="skip")] == ["f()", "if x:"]
    (tmp_path / "train.code").write_text("f ( )\n\nif x :\n")
    with pytest.raises(DataError, match=r"has 4 lines, .*train\.code has 3; the first that do not fit"):
        read(tmp_path)
    (tmp_path / "train.code").unlink()
    with pytest.raises(DataError, match=r"has no train\.code beside it"):
        read(tmp_path)


def test_json_lines_have_tests_beside_the_target_or_in_meta(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"source": "two", "target": "x=2", "tests": ["assert x == 2"]}\n\n'
        '{"source": "one", "target": "x = 1", "meta": {"tests": [["x", "1"]]}, "examples": [["x", "1"]]}\n'
        '{"source": "none", "target": "x = None"}\n'
    )
    found = read(tmp_path)
    assert [record.target for record in found] == ["x = 2", "x = 1", "x = None"]
    assert [record.meta.get("tests") for record in found] == [["assert x == 2"], [["x", "1"]], None]
    assert [record.meta.get("examples") for record in found] == [None, [["x", "1"]], None]
    path.write_text('{"source": "two", "target": "x = 2", "tests": ["x == 2"]}\n')
    with pytest.raises(BadRecord, match=r"train\.jsonl:1: meta\.tests: 'x == 2'; one assertion is right"):
        read(tmp_path)
    path.write_text('{"source": "two", "target": "x =", "tests": []}\n')
    with pytest.raises(BadRecord, match=r"train\.jsonl:1: `target`: no python-line code"):
        read(tmp_path)
    path.write_text('{"source": "two"}\n')
    with pytest.raises(BadRecord, match=r"train\.jsonl:1: no target; training and scoring need one"):
        read(tmp_path)


def test_cells_keep_the_lines_of_code() -> None:
    record = Record("7", "two\nlines")
    two = Prediction(record, (Hypothesis("def f():\n    return 1\n", 0.0), Hypothesis("x", -1.0)))
    cells, code = TASK.formats["cells"].write, TASK.formats["code"].write
    assert cells is not None
    assert code is not None
    assert cells(two, 1) == "# %% 7: two lines\ndef f():\n    return 1"
    assert cells(two, 2) == "# %% 7 (1 of 2): two lines\ndef f():\n    return 1\n# %% 7 (2 of 2): two lines\nx"
    assert code(two, 1) == "def f():\n    return 1"
    assert cells(Prediction(record, ()), 1) == "# %% 7: two lines"
    refused = Prediction(Record("2", "", meta={"error": "in.txt:2: byte 1 is not\nUTF-8"}), (Hypothesis("", 0.0),))
    assert cells(refused, 1) == "# %% 2: refused: in.txt:2: byte 1 is not UTF-8"


def test_baselines_know_the_training_programs() -> None:
    train = [Record("1", "sort the numbers", "A"), Record("2", "add up the digits", "B"), Record("3", "add", "B")]
    asked = [Record("x", "Sort numbers"), Record("y", "digits, added up"), Record("z", "?")]
    assert TASK.baselines["nearest"](train, asked)[:2] == ["A", "B"]
    assert TASK.baselines["most-frequent"](train, asked) == ["B", "B", "B"]


@pytest.mark.parametrize("language", ["python", "python-line", "sql", "regex", "none"])
def test_every_language_has_metrics_and_its_first_works_everywhere(language: Any) -> None:
    cfg = CodeConfig(language=language)
    metrics = TASK.metrics(cfg)
    assert metrics[0].name == "exact@1"
    assert len({metric.signature for metric in metrics}) == len(metrics)
    gold = {"python": "x = 1", "python-line": "if x:", "sql": "SELECT 1", "regex": ".*", "none": "I_JUMP"}[language]
    predictions = [Prediction(Record("1", "?", gold), (Hypothesis(gold, 0.0),))]
    assert metrics[0].score(metrics[0].statistics(predictions)) == 100
    assert canonical(cfg)(gold) is not None


def test_bleu_is_over_code_tokens_whatever_the_spaces() -> None:
    metric = next(one for one in TASK.metrics(CodeConfig()) if one.name == "bleu")
    rows = metric.statistics(
        [
            Prediction(Record("1", "?", "total = f(a, b) + 1"), (Hypothesis("total=f( a,b )+1", 0.0),)),
            Prediction(Record("2", "?", "total = f(a, b) + 1"), (Hypothesis("total = g(a, c) + 1", 0.0),)),
        ]
    )
    assert metric.score(rows[:1]) == pytest.approx(100)
    assert 10 < metric.score(rows[1:]) < 90
    assert "tok:code-cut.1" in metric.signature


def test_data_that_is_cut_into_tokens_already_is_read_token_by_token() -> None:
    pairs = [("walk left twice", "I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK"), ("walk", "I_WALK")]
    codecs = TASK.codecs(CodeConfig(language="none", tokens="words"), [Record(a, a, b) for a, b in pairs])
    assert codecs.shared
    ids = codecs.target.encode(pairs[0][1])
    assert len(ids) == 4
    assert codecs.target.decode(ids) == pairs[0][1]
    assert UNK in codecs.source.encode("walk right")  # pyright: ignore[reportOperatorIssue]
    many = [Record(str(n), f"w{n} w{n} common", "common") for n in range(400)]
    assert TASK.codecs(CodeConfig(language="none", tokens="words", vocabulary=300), many).target.size == 300
    for language in ("python", "python-line"):
        with pytest.raises(Impossible, match="tokens: words lose the white space"):
            CodeConfig(language=language, tokens="words")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(Impossible, match="not between 300 and 65000"):
        CodeConfig(vocabulary=10)
    with pytest.raises(Impossible, match="different whole numbers"):
        CodeConfig(pass_at=(0,))
    with pytest.raises(Impossible, match="only SQL"):
        CodeConfig(database="x.sqlite")
