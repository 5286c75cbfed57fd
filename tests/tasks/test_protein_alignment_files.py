"""Protein alignment: its files, pictures and reports, long pairs and many sequences. Nothing here needs a network."""

import math
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from core.codec.types import Codecs
from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord, DataError
from core.record import Hypothesis, Prediction, Record
from tasks.protein_alignment import TASK
from tasks.protein_alignment.agreement import agreement
from tasks.protein_alignment.alignment import cigar_of, consumed, fault, path_of, rows_of, spell, spelled, text_of
from tasks.protein_alignment.codec import MOVES, codecs
from tasks.protein_alignment.colours import conservation, strengths
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.needleman_wunsch import certain, needleman_wunsch
from tasks.protein_alignment.pairwise import facts
from tasks.protein_alignment.pieces import pieces
from tasks.protein_alignment.progressive import merged, tree
from tasks.protein_alignment.solve import solve
from tasks.protein_alignment.toy import family
from tasks.protein_alignment.vgenes import Gene, gene_pairs, literal

CODECS: Codecs = codecs(AlignmentConfig(), [])


def reading(path: Path, **task: object) -> list[Record]:
    form = next(one for one in TASK.formats.values() if one.read and path.name.endswith(one.endings))
    assert form.read is not None
    return list(form.read(AlignmentConfig(**task), path))  # pyright: ignore[reportArgumentType]


def written(name: str, prediction: Prediction, n_best: int = 1) -> str:
    write = TASK.formats[name].write
    assert write is not None
    text = write(prediction, n_best)
    assert isinstance(text, str)
    return text


def answer(rows: Sequence[str], names: Sequence[str] = (), key: str = "r") -> Prediction:
    meta = {"names": tuple(names)} if names else {}
    logp = tuple(-0.1 * (place % 4) for place in range(len(rows[0]) + 1))
    found = Hypothesis(text_of(rows), -1.0, tuple(MOVES[one] for one in path_of(*rows[:2])), logp)
    return Prediction(Record(key, tuple(map(spelled, rows)), None, meta), (found,))


ROWS = ("MKv-LXb*", "-KVAL-Zu", "-KVALw--")
NAMES = ("alpha", "beta|2", "gamma")


@pytest.mark.parametrize("name", ["fasta", "clustal", "stockholm", "phylip"])
def test_what_is_written_is_read_back_to_the_letter(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"one{TASK.formats[name].suffix}"
    path.write_text(written(name, answer(ROWS, NAMES)) + "\n")
    (found,) = reading(path)
    assert found.source == tuple(map(spelled, ROWS))
    assert found.target == text_of(ROWS)
    assert found.meta["names"] == NAMES
    assert found.key == "one"


def test_a2m_has_the_first_sequence_as_matches_and_no_sign_for_a_stop(tmp_path: Path) -> None:
    text = written("a2m", answer(ROWS, NAMES))
    assert text == ">alpha\nMKV.LXBX\n>beta|2\n-KVaL-ZU\n>gamma\n-KVaLW--"
    (tmp_path / "x.a2m").write_text(text + "\n")
    (found,) = reading(tmp_path / "x.a2m")
    assert rows_of(found.target)[1] == "-KVAL-ZU"


def test_names_fit_their_formats_and_stay_different() -> None:
    names = ["a very long name of a protein", "a very long name of a peptide", ""]
    text = written("phylip", answer(ROWS, names))
    assert [line[:10] for line in text.splitlines()[1:]] == ["a_very_lon", "a_very_l_2", "sequence  "]
    assert ">sequence1\n" in written("fasta", answer(ROWS))


def test_stockholm_says_how_sure_each_column_is() -> None:
    text = written("stockholm", answer(ROWS, NAMES))
    assert text.splitlines()[-2].split() == ["#=GC", "PP_cons", "*987*987"]


def test_several_answers_follow_each_other_and_refused_inputs_stay_empty() -> None:
    one = answer(("AC-", "A-D"))
    both = Prediction(one.record, (*one.hypotheses, Hypothesis("AC\nAD", -2.0)))
    assert written("fasta", both, 2).count(">") == 4
    refused = Prediction(Record("", "", meta={"error": "x.fa:1: a header without a sequence"}), (Hypothesis("", 0.0),))
    assert written("fasta", refused) == ""
    for name in ("report", "html", "svg"):
        assert "a header without a sequence" in written(name, refused)


def test_fasta_files_hold_one_set_or_pairs(tmp_path: Path) -> None:
    path = tmp_path / "some.fasta"
    path.write_text(">a first\nMKV\nLA\n\n>b\nMK VL*\n>c\nmkv\n>d\nMV\n")
    (whole,) = reading(path)
    assert whole.source == ("MKVLA", "MKVL*", "mkv", "MV")
    assert whole.target is None
    assert whole.meta["names"] == ("a", "b", "c", "d")
    assert [record.source for record in reading(path, fasta="pairs")] == [("MKVLA", "MKVL*"), ("mkv", "MV")]
    path.write_text(">a\nMK-VL\n>b\nMKAV.\n")
    assert reading(path)[0].target == "MK-VL\nMKAV-"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.fa", "MKV\n>a\nMKV\n", "x.fa:1: no FASTA"),
        ("x.fa", ">a\nMKV\n>b\n>c\nMKV\n", "x.fa:3: a header without a sequence"),
        ("x.fa", ">a\nMKV\n>b\nMK\nM7V\n", "x.fa:5: '7' at position 2 is no residue"),
        ("x.fa", ">a\nMKV\n", "x.fa:1: 1 sequence; 2 to 200"),
        ("x.afa", ">a\nMKV\n>b\nMK\n", "x.afa:1: not aligned: rows of 3, 2 columns"),
        ("x.sto", "a MK\nb MK\n//\n", "x.sto:1: no alignment in stockholm format"),
        ("x.sto", "# STOCKHOLM 1.0\na MK\nb MKK\n//\n", "x.sto:1: no alignment in stockholm format"),
        ("x.sto", "# STOCKHOLM 1.0\na MK\nb MV\n#=GC core 012\n//\n", "x.sto:1: #=GC core: a 0 or 1 for each of the 2"),
        ("x.aln", "CLUSTAL\n\na  MK\nb  M\n", "x.aln:1: no alignment in clustal format"),
        ("x.phy", "2 x\n", "x.phy:1: no alignment in phylip format"),
        ("x.a2m", "hello\n", "x.a2m:1: no alignment in a2m format"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRecord) as error:
        reading(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / said.split(":")[0]))
    assert said in str(error.value)


def test_a_bad_alignment_does_not_hide_the_next(tmp_path: Path) -> None:
    good = "# STOCKHOLM 1.0\na MK\nb MV\nc M-\n#=GC core 10\n//\n"
    (tmp_path / "train.sto").write_text(good + good.replace("MV", "M") + good)
    data = DataConfig(source="files", path=(str(tmp_path),), holdout=0, bad="skip")
    found = read_records(TASK, AlignmentConfig(), data, "train")
    assert [record.key for record in found.records] == [
        f"train-{n}/{pair}" for n in (1, 3) for pair in ("1-2", "1-3", "2-3")
    ]
    assert [str(one)[: str(one).index(": ")] for one in found.refused] == [f"{tmp_path / 'train.sto'}:7"]
    assert {record.meta["group"] for record in found.records} == {"train-1", "train-3"}
    (tmp_path / "dev.sto").write_text(good)
    (whole,) = read_records(TASK, AlignmentConfig(), data, "dev").records
    assert whole.target == "MK\nMV\nM-"
    assert whole.meta["core"] == "10"


def test_clustal_files_of_other_programs(tmp_path: Path) -> None:
    (tmp_path / "x.aln").write_text(
        "CLUSTAL W (1.83) multiple sequence alignment\n\n\na    MK-V 3\nb    MKAV 4\n     ** *\n\na    LL 5\nb    -L 5\n"
        "MUSCLE (3.8) multiple sequence alignment\n\n\na    AC\nb    A-\n"
    )
    assert [record.target for record in reading(tmp_path / "x.aln")] == ["MK-VLL\nMKAV-L", "AC\nA-"]


def test_the_report_by_hand() -> None:
    found = facts("MKVLA-", "MKI--C")
    assert (found.columns, found.paired, found.identical, found.similar, found.gaps, found.runs) == (6, 3, 2, 3, 3, 2)
    assert found.score == 5 + 5 + 3 - 12 - 11
    assert found.cigar == "3M2D1I"
    text = written("report", answer(("MKVLA-", "mkI--C"), ("one", "two"), key="pair"))
    assert "# pair\n#   one: 5 residues\n#   two: 4 residues\n" in text
    assert "identity 2/3 (66.7 %)" in text
    assert "CIGAR 3M2D1I" in text
    assert text.splitlines()[-4:] == [
        "one         MKVLA-  5",
        "            ||:",
        "two         mkI--C  4",
        "confidence  *987*9",
    ]


def test_colour_is_for_what_is_conserved() -> None:
    rows = ("ILC", "VEC", "MK-")
    assert strengths(rows) == [{"hydrophobic": 1.0}, {}, {"cysteine": pytest.approx(0.35 + 0.65 / 3)}]
    assert conservation(rows) == [1.0, pytest.approx(0.0), pytest.approx(2 / 3)]


def test_what_agrees_is_the_same_letter() -> None:
    assert agreement(("UxAbC-", "CXaDCA")) == ": *:* "
    found = facts("UXAC", "Cxac")
    assert (found.identical, found.similar) == (2, 3)


def test_pictures_show_every_residue() -> None:
    shown = answer(ROWS, ("al<pha", "beta", "gamma"))
    form = TASK.formats["html"]
    page = form.head + written("html", shown) + form.foot

    class Cells(HTMLParser):
        letters = ""

        def handle_data(self, data: str) -> None:
            self.letters += data if len(data) == 1 and not data.isspace() else ""

    parser = Cells()
    parser.feed(page)
    assert all(row in parser.letters for row in ROWS)
    assert "al&lt;pha" in page
    tree = ElementTree.fromstring(written("svg", shown))
    texts = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert [one for one in texts if one in ROWS] == list(ROWS)
    png = TASK.formats["png"].write
    assert png is not None
    drawn = png(shown, 1)
    assert isinstance(drawn, bytes)
    assert drawn.startswith(b"\x89PNG")
    assert drawn == png(shown, 1)


@pytest.mark.parametrize("seed", range(4))
def test_merged_sequences_are_aligned_whatever_the_pairs_say(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sequences = tuple(map(spelled, family(3 + 2 * seed, draw, 6, 15)))

    def wild(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, tuple[float, ...]]]:
        from tasks.protein_alignment.progressive import Path as PairPath

        found = []
        for first, second in pairs:
            both = int(draw.integers(0, min(len(first), len(second)) + 1))
            moves = list("M" * both + "D" * (len(first) - both) + "I" * (len(second) - both))
            draw.shuffle(moves)
            found.append(PairPath("".join(moves), tuple(draw.random(len(moves)))))
        return found

    for align in (certain, wild):
        whole = merged(sequences, align)  # pyright: ignore[reportArgumentType]
        assert fault(whole.rows, sequences) == ""
        assert len(whole.confidence) == len(whole.rows[0])
        assert all(0 <= one <= 1 for one in whole.confidence)


def test_merging_by_right_pairs_gives_the_right_alignment() -> None:
    rows = ("MKVL-AACWW", "MKVLGAACWW", "--VLG--CWW", "MK-LGAACW-")
    source = tuple(map(spelled, rows))
    right = {
        (source[one], source[other]): path_of(rows[one], rows[other]) for one in range(4) for other in range(one + 1, 4)
    }

    def told(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, tuple[float, ...]]]:
        return [(right[pair], (1.0,) * len(right[pair])) for pair in pairs]

    from tasks.protein_alignment.progressive import Path as PairPath

    whole = merged(source, lambda pairs: [PairPath(*one) for one in told(pairs)])
    assert whole.rows == rows
    assert whole.confidence == (1.0,) * 10


def test_the_guide_tree_joins_the_nearest_first() -> None:
    distance = {(0, 1): 0.9, (0, 2): 0.2, (0, 3): 0.8, (1, 2): 0.9, (1, 3): 0.1, (2, 3): 0.8}
    assert tree(4, distance) == [(1, 3), (0, 2), (0, 1)]


@pytest.mark.parametrize("most", [10, 25, 60])
def test_pieces_are_short_and_whole(most: int) -> None:
    rows = family(2, np.random.default_rng(most), 60, 80)
    first, second = map(spelled, rows)
    found = list(pieces(first, second, most))
    assert "".join(one for one, _ in found) == first
    assert "".join(other for _, other in found) == second
    assert all(len(one) + len(other) <= most or not one or not other for one, other in found)


def searched(records: Sequence[Record]) -> list[Prediction]:
    """As a search whose length limit cuts every third answer short."""
    found: list[Prediction] = []
    for number, record in enumerate(records):
        moves = needleman_wunsch(*record.source)
        said = moves[: len(moves) // 2] if number % 3 == 2 else moves
        tokens = tuple(MOVES[one] for one in said)
        logp = (math.log(0.9),) * (len(said) + (said == moves))
        found.append(Prediction(record, (Hypothesis(cigar_of(said), -1.0, tokens, logp),)))
    return found


def test_solving_spells_pairs_long_pairs_and_families() -> None:
    draw = np.random.default_rng(8)
    sets = [tuple(map(spelled, family(count, draw, 10, 30))) for count in (2, 2, 2, 3, 5)]
    sets.append(tuple(map(spelled, family(2, draw, 200, 220))))
    records = [Record(str(number), source) for number, source in enumerate(sets)]
    found = solve(AlignmentConfig(piece=120), CODECS, searched, records)
    assert [one.record for one in found] == records
    for prediction in found:
        (only,) = prediction.hypotheses
        assert fault(rows_of(only.output), prediction.record.source) == ""
        assert len(only.logp) - len(rows_of(only.output)[0]) in (0, 1)


def test_an_answer_that_spells_something_else_is_never_given() -> None:
    def wrong(records: Sequence[Record]) -> list[Prediction]:
        return [Prediction(one, (Hypothesis("1M5D", 0.0),)) for one in records]

    with pytest.raises((AssertionError, ValueError)):
        solve(AlignmentConfig(), CODECS, wrong, [Record("r", ("AC", "AD"))])


def test_v_genes_of_a_chain_type_stay_in_their_split() -> None:
    draw = np.random.default_rng(2)
    known = tuple(
        Gene(f"IG{kind}V{number % 3}-{number}*01|human", kind, "".join(draw.choice(list("ACDEFGHIKL-"), 20)))
        for kind in ("H", "L", "A", "A/D", "D", "G", "K", "B")
        for number in range(12)
    )
    cfg = AlignmentConfig(pairs=150)
    splits = {split: list(gene_pairs(cfg, known, split)) for split in ("train", "dev", "test")}  # pyright: ignore[reportArgumentType]
    assert {name: len(records) for name, records in splits.items()} == {"train": 150, "dev": 400, "test": 144}
    keys = [record.key for records in splits.values() for record in records]
    assert len(set(keys)) == len(keys)
    types = {
        name: {part for one in records for part in one.meta["set"].split(" with ")} for name, records in splits.items()
    }
    assert types["train"] == {"H", "L", "A", "A/D", "D"}
    assert types["test"] == {"K", "B"}
    assert all("G" in record.meta["set"].split(" with ") for record in splits["dev"])
    for records in splits.values():
        assert all(fault(rows_of(one.target), one.source) == "" for one in records)


def test_tables_of_other_programs_are_read_and_never_run() -> None:
    assert literal("import os\nx = 1\nall = {'V': {'H': 'QV-'}}\n", "all") == {"V": {"H": "QV-"}}
    with pytest.raises(ValueError, match="malformed"):
        literal("all = __import__('os').getcwd()", "all")
    with pytest.raises(DataError, match="assigns nothing to all"):
        literal("x = 1", "all")


def test_paths_are_never_longer_than_their_sequences() -> None:
    first, second = "MKVLAWW", "MKV"
    assert consumed(needleman_wunsch(first, second)) == (7, 3)
    assert spell("MMMDDDD", first, second) == ("MKVLAWW", "MKV----")
    with pytest.raises(ValueError, match="a path over"):
        spell("MM", first, second)
