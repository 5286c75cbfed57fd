"""The strict loader: laws of the round trip, then each kind of mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.config import Bounds, Impossible, Positive, config
from core.config_docs import page
from core.config_shape import Choice, Either, Many, Nothing, Scalar, Shape, Table, describe, inside, slots_of
from core.config_toml import (
    differences,
    fields_of,
    from_tree,
    load,
    to_toml,
    to_tree,
)
from core.errors import ConfigError
from core.model.config import TransformerConfig
from core.settings import RunConfig, run_config
from tests.core.config_examples import SMALL, TABLES, Cat, Demanding, Dog, Everything, Small, mistake, read

ROOT = Path(__file__).parents[2]


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Any value that a shape allows, as a file could give it."""
    match shape:
        case Scalar(kind, bounds) if kind in (int, float):
            numbers = (
                st.integers(-(2**63), 2**63 - 1) if kind is int else st.floats(allow_nan=False, allow_infinity=False)
            )
            near = st.integers(0, 64) if kind is int else st.floats(0, 1)
            return (numbers | near).filter(lambda x: all(inside(x, one) for one in bounds))
        case Scalar(kind):
            return st.booleans() if kind is bool else st.text(max_size=8)
        case Choice(options):
            return st.sampled_from(options)
        case Many(item):
            return st.lists(values(item), max_size=3)
        case Either(members):
            return st.one_of([values(one) for one in members])
        case Nothing():
            return st.just("none")
        case Table(kinds):
            return st.one_of([trees(one) for one in kinds])
        case _:
            return st.just("anything")


def trees(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Tables with any of the keys; a `kind` is always there, so that the rest means something."""
    fields = {name: values(slot.shape) for name, slot in slots_of(kind).items()}
    always = {name: one for name, one in fields.items() if name == "kind"}
    return st.fixed_dictionaries(always, optional={name: one for name, one in fields.items() if name != "kind"})


# laws


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_defaults_come_back(kind: type, tmp_path: Path) -> None:
    cfg = kind()
    assert read(to_toml(cfg), tmp_path, kind=kind).config == cfg
    assert from_tree(kind, to_tree(cfg), "here") == cfg
    assert from_tree(kind, {}, "here") == cfg
    assert differences(cfg, cfg) == []


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_config_comes_back(kind: type, data: st.DataObject, tmp_path: Path) -> None:
    tree = data.draw(trees(kind))
    try:
        cfg = from_tree(kind, tree, "drawn")
    except ConfigError:  # values that are each possible, but not together
        return
    text = to_toml(cfg)
    assert read(text, tmp_path, kind=kind).config == cfg
    assert from_tree(kind, to_tree(cfg), "tree") == cfg
    assert to_tree(cfg) == to_tree(from_tree(kind, tomllib.loads(text), "toml"))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab=.[]{}\"'\n# 1_-e,", max_size=30), word=st.text(max_size=20))
def test_no_file_and_no_word_does_worse_than_a_config_error(text: str, word: str, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text(text, encoding="utf-8")
    messages: list[str] = []
    for file, overrides in ((path, ()), (None, (word,)), (None, (f"search.{text}",)), (None, (f"data.path={text}",))):
        try:
            load(SMALL, file, overrides)
        except ConfigError as error:
            messages.append(str(error))
    assert [one for one in messages if "\n" in one] == []


def test_one_task_has_one_class() -> None:
    assert run_config(Small) is SMALL
    assert isinstance(SMALL(), RunConfig)
    assert SMALL().task == Small()
    with pytest.raises(ConfigError, match=r"task: missing"):
        load(run_config(Demanding), None)
    assert load(run_config(Demanding), None, ["task.needed=3"]).config.task == Demanding(needed=3)


# strictness


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('whole = "7"', "an integer"),
        ("whole = true", "an integer"),
        ("whole = 2.7", "an integer"),
        ("whole = 2.0", "an integer"),
        ("whole = 9223372036854775808", "an integer, and fit 64 bits"),
        ("whole = [1]", "an integer"),
        ("whole = 2020-01-01", "an integer"),
        ("number = true", "a number"),
        ('number = "0.5"', "a number"),
        ("number = nan", "a number, and finite"),
        ("number = -inf", "a number, and finite"),
        ("share = 1.5", "a number from 0 to 1"),
        ("dropout = 1.0", "a number from 0 to below 1"),
        ("even = -1", "an integer, at least 0, at most 10"),
        ("even = 11", "an integer, at least 0, at most 10"),
        ("text = 7", "text"),
        ("truth = 1", "true or false"),
        ('truth = "true"', "true or false"),
        ('choice = "c"', "one of a, b, 3"),
        ("choice = true", "one of a, b, 3"),
        ('numbers = "1"', "a list of (number)"),
        ("names = 1", "text or list of text"),
        ('perhaps = "many"', 'an integer or "none"'),
        ('budget = "aut"', "an integer, at least 1 or auto; did you mean auto?"),
        ("budget = 0", "an integer, at least 1 or auto"),
        ("spare = 3", 'a table of kind cat or dog or "none"'),
    ],
)
def test_nothing_is_converted(line: str, wanted: str, tmp_path: Path) -> None:
    assert mistake(line, tmp_path, kind=Everything) == f"x.toml:1: {line}: must be {wanted}"


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("number = 3", "number", 3.0),
        ('names = "a"', "names", ("a",)),
        ('names = ["a", "b"]', "names", ("a", "b")),
        ("choice = 3", "choice", 3),
        ('perhaps = "none"', "perhaps", None),
        ("budget = 8", "budget", 8),
        ('spare = "none"', "spare", None),
        ("spare.kind = 'dog'", "spare", Dog()),
        ("pets = [{kind = 'dog'}, {kind = 'cat', lives = 1}]", "pets", (Dog(), Cat(lives=1))),
        ("pet.lives = 4", "pet", Cat(lives=4)),
        (
            "small.alphabet = 'c'",
            "small",
            Small(largest=5, alphabet="c"),
        ),  # over the field's own default, not the class's
    ],
)
def test_what_is_taken(line: str, key: str, value: object, tmp_path: Path) -> None:
    found = getattr(read(line, tmp_path, kind=Everything).config, key)
    assert found == value
    assert type(found) is type(value)


def test_items_of_lists_are_checked(tmp_path: Path) -> None:
    said = mistake('numbers = [1, "x"]', tmp_path, kind=Everything)
    assert said == 'x.toml:1: numbers = [1, "x"]: item 2, "x", must be a number'
    said = mistake("pets = [{kind = 'dog', lives = 3}]", tmp_path, kind=Everything)
    assert "item.lives = 3: no such key" in said


def test_an_annotation_that_toml_cannot_fill_is_the_programmers_mistake() -> None:
    @config
    class Odd:
        x: complex = 1j

    Odd.__annotations__["x"] = complex
    with pytest.raises(TypeError, match=r"Odd.x: a config field cannot be"):
        slots_of(Odd)


# messages


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[train]\nstepz = 3\n", "x.toml:2: train.stepz = 3: no such key; did you mean train.steps?"),
        ("steps = 3\n", "x.toml:1: steps = 3: no such key; did you mean train.steps?"),
        ("[train]\nwidth = 3\n", "x.toml:2: train.width = 3: no such key; did you mean model.width?"),
        ("[modle]\nwidth = 3\n", "x.toml:1: [modle]: no such table; did you mean [model]?"),
        (
            "[batch]\nq = 3\n",
            "x.toml:2: batch.q = 3: no such key; [batch] has tokens, most, longest, window, easy_first, workers",
        ),
        ("[task]\nlarge = 3\n", "x.toml:2: task.large = 3: no such key; did you mean task.largest?"),
        ('seed = "1"\n', 'x.toml:1: seed = "1": must be an integer, at least 0'),
        ("\n[train]\n# few\nsteps = 0\n", "x.toml:4: train.steps = 0: must be an integer, at least 1"),
        ("[model]\nheads = 3\n", "x.toml:2: model.heads = 3: 3 heads do not divide a width of 256"),
        ("model.heads = 3\n", "x.toml:1: model.heads = 3: 3 heads do not divide a width of 256"),
        ("[model]\nwidth = 250\n", "x.toml:2: model.heads = 4: 4 heads do not divide a width of 250"),
        (
            '[model]\nkind = "rnm"\n',
            'x.toml:2: model.kind = "rnm": no such kind; one of transformer, rnn, conv; did you mean rnn?',
        ),
        ("[model]\nkind = 3\n", "x.toml:2: model.kind = 3: no such kind; one of transformer, rnn, conv"),
        (
            '[model]\ncell = "gru"\n',
            'x.toml:2: model.cell = "gru": no such key here, for it has no cells; it needs model.kind = "rnn"',
        ),
        ('[model]\nnorm = "rsm"\n', 'x.toml:2: model.norm = "rsm": must be one of layer, rms; did you mean rms?'),
        ("train = 3\n", "x.toml:1: train = 3: a table, so set its keys, such as train.steps"),
        ("[seed]\n", "x.toml:1: [seed]: must be an integer, at least 0"),
        ("seed = 1\n[train\n", "x.toml:2: not TOML: Expected ']' at the end of a table declaration (column 7)"),
        ("seed = 1\nseed = 2\n", "x.toml:2: not TOML: Cannot overwrite a value (column 9)"),
        ("[train]\nstepz = 3\nlr = true\n", "did you mean train.steps? (and 1 more mistake)"),
    ],
)
def test_a_mistake_has_its_place_its_value_and_what_is_right(text: str, said: str, tmp_path: Path) -> None:
    assert mistake(text, tmp_path).endswith(said)


def test_lines_inside_a_long_string_are_no_keys(tmp_path: Path) -> None:
    text = '[task]\nalphabet = """\n[train]\nsteps = 1\n"""\n[train]\nsteps = 0\n'
    assert mistake(text, tmp_path) == "x.toml:7: train.steps = 0: must be an integer, at least 1"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text("")
    with pytest.raises(ConfigError, match=r"tinny.toml: no such file; did you mean .*/tiny.toml\?$"):
        load(SMALL, tmp_path / "tinny.toml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load(SMALL, tmp_path)
    (tmp_path / "x.toml").write_bytes(b"seed = 1 # \xff")
    with pytest.raises(ConfigError, match=r"x.toml: not UTF-8 at byte 12"):
        load(SMALL, tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("seed = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"not TOML"):
        load(SMALL, tmp_path / "x.toml")
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfseed = 7\r\n")
    assert load(SMALL, tmp_path / "x.toml").config.seed == 7


# documentation


def test_fields_are_documented_from_their_source() -> None:
    found = {(one.key, one.when): one for one in fields_of(SMALL)}
    largest = found["task.largest", ""]
    assert (largest.type, largest.default, largest.documentation) == (
        "integer, at least 1",
        999,
        "Numbers go up to this.",
    )
    assert found["model.cell", 'model.kind = "rnn"'].type == "one of gru, lstm, rnn"
    assert found["model.heads", 'model.kind = "transformer"'].documentation == "Must divide the width."
    assert [one.default for one in fields_of(Everything) if one.key == "small.largest"] == [5]


def test_types_are_told_in_words() -> None:
    told = {name: describe(slot.shape) for name, slot in slots_of(Everything).items()}
    assert told["share"] == "number from 0 to 1"
    assert told["names"] == "text or list of text"
    assert told["pet"] == "table of kind cat or dog"
    assert describe(Scalar(float, (Bounds(low=0, open_low=True),))) == "number, above 0"
    assert Positive.__metadata__ == (Bounds(low=0, open_low=True),)


def test_the_page_of_keys_has_every_key() -> None:
    made = page({"small": Small})
    assert "| `task.largest` | integer, at least 1 | `999` | Numbers go up to this. |" in made
    assert [one.key for one in fields_of(SMALL) if f"| `{one.key}` |" not in made] == []


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/*/*.toml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_the_tables_of_core_in_every_config_file_load(path: Path) -> None:
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    for name in ("task", "extends"):
        tree.pop(name, None)
    from_tree(SMALL, tree, str(path))


def test_impossible_names_the_field() -> None:
    with pytest.raises(Impossible, match="heads: 3 heads"):
        TransformerConfig(heads=3)
