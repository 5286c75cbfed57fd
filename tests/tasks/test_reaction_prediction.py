"""Reactions: canonical forms, symbols, toy data, other spellings of a pair. Nothing here needs a network."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.codec.types import UNK
from core.config import Impossible
from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord
from core.metrics.edit import levenshtein
from core.record import SPLITS, Record, Split
from tasks.reaction_prediction import TASK
from tasks.reaction_prediction.augment import alignment, augment
from tasks.reaction_prediction.chemistry import LONGEST, canonical, largest_fragment, missing_atoms, reason, tanimoto
from tasks.reaction_prediction.codec import ALWAYS, TOKEN, SmilesTokenizer
from tasks.reaction_prediction.prepared import Raw, keep, one_reaction, prepared, stored
from tasks.reaction_prediction.reaction import Reaction, as_record, fragments, read_source, spelled
from tasks.reaction_prediction.settings import ReactionConfig
from tasks.reaction_prediction.sources import disjoint, orderly_reaction, unrepeated
from tasks.reaction_prediction.toy import reactions

TOY = DataConfig(source="toy")
MAPPED = (  # from the wheel: atom 6 of the product, at which it was made, comes early in the text as distributed
    "CC(C)(C)OC(=O)O[C:6]([O:5][C:2]([CH3:1])([CH3:3])[CH3:4])=[O:7].[CH3:8][C:9](=[O:10])[c:11]1[cH:12][cH:13][c:14]2"
    "[nH:15][cH:16][cH:17][c:18]2[cH:19]1>>[CH3:1][C:2]([CH3:3])([CH3:4])[O:5][C:6](=[O:7])[n:15]1[c:14]2[cH:13][cH:12]"
    "[c:11]([C:9]([CH3:8])=[O:10])[cH:19][c:18]2[cH:17][cH:16]1"
)


def read(split: Split = "train", **task: Any) -> list[Record]:
    return read_records(TASK, ReactionConfig(**task), TOY, split).records


@pytest.mark.parametrize(
    "texts",
    [
        ("OCC", "CCO", "C(O)C", "[CH3:1][CH2:2][OH:3]", "[CH3][CH2][OH]"),
        ("c1ccccc1.O", "O.C1=CC=CC=C1", "[OH2].c1ccccc1"),
        ("N[C@@H](C)C(=O)O", "C[C@H](N)C(O)=O", "[CH3:7][C@H:1]([NH2:2])[C:3](=[O:4])[OH:5]"),
        ("F/C=C/F", r"F\C=C\F"),
        ("[Na+].[Cl-]", "[Cl-].[Na+]"),
    ],
)
def test_one_molecule_has_one_spelling(texts: tuple[str, ...]) -> None:
    forms = {canonical(text) for text in texts}
    assert len(forms) == 1
    (form,) = forms
    assert form is not None
    assert canonical(form) == form
    assert ":" not in form


def test_mirror_images_are_two_molecules() -> None:
    assert canonical("N[C@@H](C)C(=O)O") != canonical("N[C@H](C)C(=O)O")
    assert canonical("F/C=C/F") != canonical(r"F/C=C\F")


BAD = {
    "": "empty",
    "C(C": "extra open parentheses",
    "C1CC": "unclosed ring",
    "CXC": "syntax error about character 2",
    "CC(=O)(=O)(C)C": "Explicit valence for atom # 1 C, 7, is greater than permitted",
    "c1cccc1": "Can't kekulize mol",
    "C\x00C": "character 2 ('\\x00') belongs to no SMILES",
    "Cé": "character 2 ('é') belongs to no SMILES",
    "C C": "character 2 (' ') belongs to no SMILES",
    "C" * (LONGEST + 1): "3,001 characters; at most 3,000 are read",
    "[" * 500: "syntax error",
    "\udc80": "belongs to no SMILES",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_molecule_says_why(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert canonical(text) is None
    assert BAD[text] in reason(text)
    assert capfd.readouterr() == ("", ""), "RDKit's own log reached the terminal"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="CNOcn()[]=#123%@+-.>/\\H*:é ", max_size=30))
def test_any_text_is_a_molecule_or_refused_with_a_reason(text: str) -> None:
    form = canonical(text)
    if form is None:
        assert reason(text)
    else:
        assert canonical(form) == form
    cfg = ReactionConfig()
    with suppress(BadRecord):
        source = read_source(cfg, text)
        assert canonical(source) == source


def test_the_largest_fragment_is_the_one_with_most_heavy_atoms() -> None:
    assert largest_fragment("CCCCCCCC.[2H]O[2H].c1ccccc1Br") == canonical("CCCCCCCC")
    assert largest_fragment("CO.CN") == "CO", "of equal ones the later text"
    assert largest_fragment("C(") is None


def test_missing_atoms_are_counted_by_element() -> None:
    assert missing_atoms("CC(=O)Cl.N", "CC(N)=O") == ""
    assert missing_atoms("CC", "CC(N)(N)O") == "N2 O"


def test_likeness_is_one_for_the_same_and_less_for_others() -> None:
    assert tanimoto("OCC", "CCO") == 1
    assert 0 < tanimoto("CCO", "CCN") < 1
    assert (tanimoto("C(", "C("), tanimoto("C(", "C")) == (1, 0)


def test_symbols_spell_any_text_in_linear_time() -> None:
    codec = SmilesTokenizer.fit(["C[C@@H](N)C(=O)[O-]", "[Na+]"])
    assert codec.cut("C[C@@H](Cl)%12Br") == ["C", "[C@@H]", "(", "Cl", ")", "%12", "Br"]
    assert "[C@H]" in codec.ids, "the mirror image of a fitted atom"
    assert codec.cut("[13CH4]") == list("[13CH4]"), "an unknown atom falls back to characters"
    assert codec.decode(codec.encode("[13CH4]->[Fe]")) == "[13CH4]->[Fe]"
    assert codec.encode("é") == [UNK]
    for hostile in ("[", "[C", "]", "%", "%1", "[a[", "C(", "é", "Cl", "[" + "a" * 29):
        text = (hostile * (10**6 // len(hostile)))[: 10**6]
        begun = time.process_time()
        pieces = TOKEN.findall(text)
        assert time.process_time() - begun < 60, "a quadratic pattern would take hours"
        assert "".join(pieces) == text


@given(st.text(max_size=40))
def test_cutting_loses_nothing(text: str) -> None:
    codec = SmilesTokenizer.fit(["[nH]"])
    assert "".join(codec.cut(text)) == text
    known = "".join(one if "!" <= one <= "~" else "\ufffd" for one in text)
    assert codec.decode(codec.encode(text)) == known


def test_the_vocabulary_is_the_same_each_time_and_shared() -> None:
    records = [Record("1", "C[Si](C)C", "[nH]"), Record("2", "[nH]", "C")]
    made = TASK.codecs(ReactionConfig(), records)
    assert made.shared
    assert made.target.label(4 + len(ALWAYS)) == "[nH]", "by count"


def test_toy_reactions_split_by_product() -> None:
    products = {split: {record.source for record in read(split)} for split in SPLITS}
    assert sum(map(len, products.values())) == len(reactions()) > 2000
    assert not products["train"] & products["dev"]
    assert not products["train"] & products["test"]
    assert not products["dev"] & products["test"]
    assert min(map(len, products.values())) > 150
    assert {one.meta["class"] for one in reactions()} == {"1", "2", "3", "5"}


def test_toy_reactions_keep_their_atoms() -> None:
    for one in reactions()[::40]:
        assert missing_atoms(one.reactants, one.product) == ""
        assert canonical(one.product) == one.product
        assert spelled(one.left) == one.reactants == canonical(one.reactants)
        maps = [number for fragment in one.right for number in fragment.maps]
        assert all(maps)
        assert len(set(maps)) == len(maps)


REACTION = Reaction("1", "CC(=O)Cl.CN", "CCN(CC)CC.ClCCl", "CNC(C)=O")


@pytest.mark.parametrize(
    ("task", "source", "target"),
    [
        ({}, "CNC(C)=O", "CC(=O)Cl.CN"),
        ({"direction": "forward"}, "CC(=O)Cl.CCN(CC)CC.CN.ClCCl", "CNC(C)=O"),
        ({"direction": "forward", "reagents": "separated"}, "CC(=O)Cl.CN>CCN(CC)CC.ClCCl", "CNC(C)=O"),
        ({"direction": "forward", "reagents": "none"}, "CC(=O)Cl.CN", "CNC(C)=O"),
        ({"direction": "reagents"}, "CC(=O)Cl.CN>>CNC(C)=O", "CCN(CC)CC.ClCCl"),
    ],
)
def test_each_direction_asks_its_own(task: dict[str, Any], source: str, target: str) -> None:
    cfg = ReactionConfig(**task)
    record = as_record(cfg, REACTION, aligned=False)
    assert record is not None
    assert (record.source, record.target) == (source, target)
    assert record.meta["group"] == "CNC(C)=O"
    assert read_source(cfg, source) == source, "a source can be given as it is"
    assert TASK.read is not None
    assert TASK.read(cfg, "CN.CC(=O)Cl>ClCCl.CCN(CC)CC>CNC(C)=O", Path()) == source, "or as the whole reaction"


def test_a_reaction_without_reagents_asks_for_none() -> None:
    cfg = ReactionConfig(direction="reagents")
    assert as_record(cfg, replace(REACTION, reagents=""), aligned=False) is None


@pytest.mark.parametrize(
    ("text", "task", "said"),
    [
        ("C(C", {}, "'C(C' is no molecule: extra open parentheses"),
        ("C>C", {}, "1 of the arrows"),
        ("C>C>C>C", {}, "3 of the arrows"),
        ("CC", {"direction": "reagents"}, "0 of the arrows `>`; reactants>>product is right"),
        (">>C(", {}, "no molecule"),
        ("", {}, "empty"),
        (17, {}, "no text; a SMILES is right"),
    ],
)
def test_a_source_that_cannot_be_is_refused(text: object, task: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecord) as error:
        read_source(ReactionConfig(**task), text)
    assert said in str(error.value)


def test_tokens_set_apart_are_joined_and_names_are_left_alone() -> None:
    cfg = ReactionConfig()
    assert read_source(cfg, "O C ( = O ) c 1 c c c c c 1") == "O=C(O)c1ccccc1"
    assert read_source(cfg, "OCC ethanol") == "CCO"
    assert read_source(cfg, "OC(=O)C>>CCO US1234;;2 |f:0.1|") == "CCO"
    assert read_source(ReactionConfig(direction="forward"), "[NH3]->[Fe]") == canonical("[NH3]->[Fe]")


def test_atom_maps_never_reach_source_or_target() -> None:
    made = one_reaction(Raw("1", MAPPED, {}))
    assert made is not None
    assert made.product == canonical(MAPPED.split(">")[2]) == "CC(=O)c1ccc2c(ccn2C(=O)OC(C)(C)C)c1"
    assert made.reactants == canonical(MAPPED.split(">")[0])
    assert made.meta["bonds"] == "C-N"
    for split, known in (("train", True), ("dev", False)):
        cfg = ReactionConfig(augmentation="root-aligned")
        record = as_record(cfg, made, aligned=known)
        assert record is not None
        assert ("aligned" in record.meta) == known, split
        assert ":" not in record.source + record.target


def test_maps_stand_in_the_order_of_the_canonical_text() -> None:
    (one,) = fragments("[CH3:4][CH2:2][OH:9]")
    assert (one.smiles, one.maps) == ("CCO", (4, 2, 9))
    (other,) = fragments("[OH:9][CH2:2][CH3:4]")
    assert other == one


def pairs(augmentation: str, **task: Any) -> Iterator[tuple[Record, Record, Record]]:
    cfg = ReactionConfig(augmentation=augmentation, **task)  # pyright: ignore[reportArgumentType]
    vary = augment(cfg)
    assert vary is not None
    for number, record in enumerate(read("train", augmentation=augmentation, **task)[::60]):
        yield record, vary(record, np.random.default_rng(number)), vary(record, np.random.default_rng(number + 10**6))


@pytest.mark.parametrize("augmentation", ["random", "root-aligned"])
@pytest.mark.parametrize("task", [{}, {"direction": "forward"}, {"direction": "forward", "reagents": "separated"}])
def test_variants_are_the_same_reaction_otherwise_spelled(augmentation: str, task: dict[str, Any]) -> None:
    others = 0
    for record, one, two in pairs(augmentation, **task):
        cfg = ReactionConfig(**task)
        assert read_source(cfg, one.source) == record.source
        assert canonical(one.target) == record.target
        others += (one.source != record.source) + (one.source != two.source)
    assert others > 30


def test_reagents_are_asked_of_other_spellings_too() -> None:
    for record, one, _ in pairs("root-aligned", direction="reagents"):
        assert read_source(ReactionConfig(direction="reagents"), one.source) == record.source
        assert one.target == record.target


def test_aligned_targets_are_nearer_to_their_sources() -> None:
    near = [levenshtein(one.source, one.target) for _, one, _ in pairs("root-aligned")]
    lost = [levenshtein(one.source, record.target) for record, one, _ in pairs("root-aligned")]
    assert np.mean(near) < 0.7 * np.mean(lost)


def test_a_target_begins_where_its_source_does() -> None:
    vary = augment(ReactionConfig(augmentation="root-aligned"))
    assert vary is not None
    record = next(one for one in read(augmentation="root-aligned") if one.source == canonical("CCOC(=O)CC"))
    seen = {(one.source, one.target) for one in (vary(record, np.random.default_rng(n)) for n in range(60))}
    assert ("CCOC(=O)CC", "CCO.C(=O)(CC)O") in seen or ("CCOC(=O)CC", "CCO.C(CC)(=O)O") in seen
    for source, target in seen:
        assert target[0] == source[0], (source, target)


def test_a_users_mapped_form_aligns_only_the_pair_that_it_spells() -> None:
    cfg = ReactionConfig(augmentation="root-aligned")
    made = one_reaction(Raw("1", MAPPED, {}))
    assert made is not None
    mine = Record("1", made.product, made.reactants, {"mapped": MAPPED})
    assert alignment(cfg, mine) is not None
    assert alignment(cfg, replace(mine, source="CCO")) is None
    assert alignment(cfg, replace(mine, meta={"mapped": "C(>>C"})) is None
    assert alignment(cfg, replace(mine, meta={})) is None
    vary = augment(cfg)
    assert vary is not None
    variant = vary(replace(mine, meta={}), np.random.default_rng(3))
    assert canonical(variant.source) == made.product
    assert variant.target == made.reactants, "without maps the target stays as it is"


def test_what_was_prepared_is_kept_and_damage_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    def raw() -> list[Raw]:
        calls.append(1)
        return [Raw("a", MAPPED, {}), Raw("b", "C(>>C", {}), Raw("c", "CO.N>O>CN", {"class": "1"})]

    data = DataConfig(cache=str(tmp_path))
    first = prepared("x", "0" * 64, raw, data)
    assert [one.key for one in first] == ["a", "c"]
    assert "1 reactions that RDKit cannot read are left out" in capsys.readouterr().err
    assert prepared("x", "0" * 64, raw, data) == first
    assert len(calls) == 1
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    assert prepared("x", "0" * 64, raw, data) == first
    assert len(calls) == 2
    assert "is damaged; making it again" in capsys.readouterr().err
    keep(path, first[:1])
    assert list(stored(path)) == first[:1]


def test_a_product_stands_in_one_split() -> None:
    from collections import Counter

    one = lambda key, product: Reaction(key, "CO", "", product)  # noqa: E731
    dropped: Counter[str] = Counter()
    found = disjoint(
        {
            "train": [one("1", "CC"), one("2", "CN"), one("3", "CF"), one("4", "CF"), one("5", "CO")],
            "dev": [one("6", "CC"), one("7", "CN")],
            "test": [one("8", "CC"), one("9", "CC")],
        },
        dropped,
    )
    assert {split: [each.key for each in found[split]] for split in SPLITS} == {
        "train": ["3"],
        "dev": ["7"],
        "test": ["8", "9"],
    }
    assert sum(dropped.values()) == 5
    assert [each.key for each in unrepeated([REACTION, REACTION], dropped)] == ["1"]


def test_a_row_of_orderly_becomes_a_reaction() -> None:
    row = {"reactant_000": "CO", "reactant_001": "<missing>", "agent_000": "[H-]", "agent_001": "[Na+]"}
    row |= {"solvent_000": "O", "product_000": "CN", "product_001": "<missing>", "yield_000": None}
    assert orderly_reaction(row) == "CO>[H-].[Na+].O>CN"
    assert orderly_reaction({**row, "product_001": "C"}) == ""
    assert orderly_reaction({**row, "reactant_000": "<missing>"}) == ""


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(Impossible, match=r"votes: 5 variants of a source need a model trained with task\.augmentation"):
        ReactionConfig(votes=5)
    with pytest.raises(Impossible, match="a round trip is made from retro predictions"):
        ReactionConfig(direction="forward", forward_run="runs/x")


def test_baselines_copy_and_remember() -> None:
    train = [Record("1", "CCOC(C)=O", "CCO.CC(=O)O"), Record("2", "c1ccccc1-c1ccccc1", "Brc1ccccc1.OB(O)c1ccccc1")]
    asked = [Record("3", "CCCOC(C)=O"), Record("4", "Cc1ccc(-c2ccccc2)cc1"), Record("5", "CO>>CC")]
    assert TASK.baselines["copy"](train, asked) == ["CCCOC(C)=O", "Cc1ccc(-c2ccccc2)cc1", "CO"]
    assert TASK.baselines["nearest"](train, asked)[:2] == ["CCO.CC(=O)O", "Brc1ccccc1.OB(O)c1ccccc1"]
    assert TASK.baselines["nearest"]([], asked) == ["", "", ""]


@pytest.mark.slow
def test_the_wheels_have_what_is_said_of_them() -> None:
    splits = {split: list(TASK.sources["uspto50k"](ReactionConfig(), DataConfig(), split)) for split in SPLITS}
    assert {split: len(records) for split, records in splits.items()} == {"train": 39_756, "dev": 2_717, "test": 5_007}
    sources = {split: {record.source for record in records} for split, records in splits.items()}
    assert not sources["train"] & (sources["dev"] | sources["test"])
    assert not sources["dev"] & sources["test"]
    for record in splits["test"][::25]:
        assert canonical(record.source) == record.source
        assert canonical(record.target) == record.target
    both = list(TASK.sources["both"](ReactionConfig(direction="forward"), DataConfig(), "train"))
    assert len(both) > 45_000
    assert not {record.target for record in both} & (sources["dev"] | sources["test"])
    reagents = ReactionConfig(direction="reagents")
    found = {split: list(TASK.sources["orderly"](reagents, DataConfig(), split)) for split in SPLITS}
    assert min(map(len, found.values())) > 400
