"""The registry over made-up packages: names without imports, clear words about what is wrong, and the others go on working."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.registry import BrokenTask, Registry
from core.testing.toys import TOY

CARD = 'name = "{name}"\nsummary = "a toy"\ndata = "strings"\nmetric = "exact@1"\nextra = "none"\n'
WHOLE = (
    "import dataclasses\nfrom core.testing.toys import TOY\nTASK = dataclasses.replace(TOY, name={name!r}{change})\n"
)


class Site:
    """A folder of installed packages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry = Registry(path / "none", "nothing", "transduce.tasks")

    def add(
        self,
        name: str,
        code: str,
        *,
        module: str = "",
        package: str = "",
        card: str | None = None,
        version: str = "1.2",
    ) -> None:
        """A distribution with one module package that claims `name`."""
        module, package = module or f"{name}_module", package or f"dist-{name}"
        folder = self.path.joinpath(*module.split("."))
        folder.mkdir(parents=True)
        for parent in folder.parents:
            if parent.is_relative_to(self.path) and parent != self.path:
                (parent / "__init__.py").touch()
        (folder / "__init__.py").write_text(code)
        if card is not None:
            (folder / "card.toml").write_text(card)
        info = self.path / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[transduce.tasks]\n{name} = {module}:TASK\n")

    def whole(self, name: str, change: str = "", *, module: str = "", package: str = "") -> None:
        """One with nothing wrong, but for the change."""
        self.add(
            name, WHOLE.format(name=name, change=change), module=module, package=package, card=CARD.format(name=name)
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_names_and_cards_import_nothing(site: Site) -> None:
    site.add("loud", "raise RuntimeError('imported')", card=CARD.format(name="loud"))
    site.add("inner", "raise RuntimeError('imported')", module="outer.inner", card=CARD.format(name="inner"))
    assert site.registry.names() == ["inner", "loud"]
    assert "loud" in site.registry
    assert "quiet" not in site.registry
    for name in ("loud", "inner"):
        card = site.registry.card(name)
        assert (card.name, card.summary, card.data, card.metric, card.extra) == (
            name,
            "a toy",
            "strings",
            "exact@1",
            "none",
        )
        assert (card.package, card.version) == (f"dist-{name}", "1.2")
        assert card.path is not None
        assert card.path.parent.name in ("loud_module", "inner")
    assert not {"loud_module", "outer", "outer.inner"} & set(sys.modules)


def test_a_task_is_loaded_when_asked_for(site: Site) -> None:
    site.whole("fine")
    task = site.registry["fine"]
    assert task.name == "fine"
    assert task.config is TOY.config
    assert "fine_module" in sys.modules


def test_built_ins_are_folders_with_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "domains_of_a_test"
    (folder / "made").mkdir(parents=True)
    (folder / "not_a_task").mkdir()
    (folder / "__init__.py").touch()
    (folder / "made" / "__init__.py").write_text(WHOLE.format(name="made", change=""))
    (folder / "made" / "card.toml").write_text(CARD.format(name="made"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry(folder, "domains_of_a_test", "a.group.without.members")
    assert registry.names() == ["made"]
    assert registry.card("made").package == "transduce"
    assert registry["made"].name == "made"


def test_an_unknown_name_gets_a_suggestion_and_the_list(site: Site) -> None:
    site.whole("chords")
    site.whole("dates")
    for ask in (site.registry.card, site.registry.__getitem__):
        with pytest.raises(ConfigError, match=r"chord: no such task; did you mean chords\?; there are chords, dates"):
            ask("chord")


def test_a_name_claimed_twice_names_both_and_harms_no_other(site: Site) -> None:
    site.whole("same", module="one_same", package="dist-one")
    site.whole("same", module="other_same", package="dist-other")
    site.whole("fine")
    assert site.registry.names() == ["fine", "same"]
    for ask in (site.registry.card, site.registry.__getitem__):
        with pytest.raises(ConfigError, match=r"same: claimed by dist-one 1.2 .* and dist-other 1.2 .*uninstall one"):
            ask("same")
    assert site.registry["fine"].name == "fine"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def up():\n    raise ValueError('the roof\\nleaks')\nup()\n", "ValueError: the roof"),
        ("import nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'"),
        ("TASK = (\n", "SyntaxError"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("ASK = 1\n", "AttributeError"),
        ("from core.task import Task\nTASK = Task(name='bad', config=int, sources={})\n", "codecs"),
    ],
)
def test_what_fails_to_import_is_shown_with_its_own_traceback(site: Site, code: str, reason: str) -> None:
    site.add("bad", code, card=CARD.format(name="bad"))
    site.whole("fine")
    with pytest.raises(BrokenTask) as caught:
        site.registry["bad"]
    assert "dist-bad 1.2 cannot be loaded (bad_module:TASK)" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.trace.rstrip().splitlines()[-1]
    if "AttributeError" not in reason:
        assert "bad_module" in caught.value.trace
    assert "importlib" not in caught.value.trace
    assert site.registry["fine"].name == "fine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (", metrics=None", "`metrics` is missing"),
        (", codecs=3", "`codecs` is missing"),
        (", sources={}", "`sources` must name at least one function"),
        (", sources={'strings': 3}", "`sources` must name at least one function"),
        (", config=int", "`config` must be a class made by core.config.config"),
        (", rule='greedy'", "`rule` must be a function, or left out"),
    ],
)
def test_a_missing_part_is_named(site: Site, change: str, said: str) -> None:
    site.whole("partial", change)
    with pytest.raises(BrokenTask, match=r"partial: dist-partial 1.2: partial_module:TASK: ") as caught:
        site.registry["partial"]
    assert said in str(caught.value)


def test_name_and_type_must_agree(site: Site) -> None:
    site.add("one", WHOLE.format(name="other", change=""))
    site.add("number", "TASK = 7\n")
    with pytest.raises(BrokenTask, match="it is named 'other', its entry point 'one'"):
        site.registry["one"]
    with pytest.raises(BrokenTask, match=r"is of type int, not a core.task.Task"):
        site.registry["number"]


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("name = 3", "name, summary, data, metric must be there"),
        ("name = ", "cannot be read"),
        (CARD.format(name="another"), "is the card of 'another'"),
    ],
)
def test_a_bad_card_is_refused_by_its_place(site: Site, card: str, said: str) -> None:
    site.add("carded", WHOLE.format(name="carded", change=""), card=card)
    with pytest.raises(ConfigError, match=r"carded: dist-carded 1.2: .*card.toml") as caught:
        site.registry.card("carded")
    assert said in str(caught.value)
    assert site.registry["carded"].name == "carded"


def test_a_package_without_a_card_is_listed_all_the_same(site: Site) -> None:
    site.add("bare", WHOLE.format(name="bare", change=""))
    assert site.registry.card("bare").summary == "(brings no card.toml)"
    assert site.registry.card("bare").path is None
