"""What `doctor` finds: leaks, near ones too, damage, and lines that slipped."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from core.data.alike import TEXT, Alike
from core.doctor import doctor
from core.doctor.damage import damage
from core.doctor.lengths import Shifted, outliers, shifted, uneven
from core.doctor.twins import Crowd, nearly_repeated, repeated, twins
from core.errors import ConfigError
from core.record import Record
from core.testing.toys import TOY


def records(*texts: str) -> list[Record]:
    return [Record(f"r{number}", text, text.upper()) for number, text in enumerate(texts)]


def test_the_same_and_nearly_the_same_are_told_apart() -> None:
    train = records("Open the window of the kitchen.", "Close the door.", "Something else entirely")
    asked = records("open  the window of the KITCHEN.", "Open the window of the kitchen!", "Quite another thing")
    same, near = twins(Crowd(TEXT, train), asked)
    assert [(twin.place, twin.other) for twin in same] == [("r0", "r0")]
    assert [(twin.place, twin.other) for twin in near] == [("r1", "r0")]
    assert 0.8 <= near[0].share < 1


def test_every_pair_that_is_alike_is_found() -> None:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghij", k=6)) for _ in range(300)]
    train = [" ".join(draw.choices(words, k=12)) for _ in range(300)]
    changed = [text[:-1] + "z" for text in train]
    _, near = twins(Crowd(TEXT, records(*train)), records(*changed))
    assert [twin.place for twin in near] == [twin.other for twin in near] == [f"r{n}" for n in range(300)]
    _, near = twins(Crowd(TEXT, records(*train[:150])), records(*train[150:]))
    assert near == []


def test_proteins_that_are_nine_tenths_the_same_are_found_among_many_strangers() -> None:
    pytest.importorskip("Bio")
    from tasks.protein_alignment.alike import ALIKE

    draw = random.Random(4)
    train = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=120)) for _ in range(80)]
    asked: list[str] = []
    for sequence in train[:40]:
        other = list(sequence)
        for place in draw.sample(range(len(other)), 11):
            other[place] = "W" if other[place] != "W" else "A"
        asked.append("".join(other))
    asked += [sequence[20:100] for sequence in train[40:60]]  # parts of a sequence
    _, near = twins(
        Crowd(ALIKE, [Record(f"t{n}", (one,)) for n, one in enumerate(train)]),
        [Record(f"r{n}", (one,)) for n, one in enumerate(asked)],
    )
    assert [(twin.place, twin.other) for twin in near] == [(f"r{n}", f"t{n}") for n in range(60)]


def test_what_is_said_twice_in_a_split() -> None:
    found = [Record("a", "x", "1"), Record("b", "X", "1"), Record("c", "x", "2"), Record("d", "y", "1")]
    again, otherwise = repeated(TEXT, found)
    assert [(twin.place, twin.other) for twin in again] == [("b", "a")]
    assert [(twin.place, twin.other) for twin in otherwise] == [("c", "a")]
    crowd = Crowd(TEXT, records("a rather long sentence, once", "a rather long sentence, twice", "and another one"))
    assert [
        (twin.place, twin.other) for twin in nearly_repeated(Crowd(Alike(TEXT.texts, least=0.6), records(*crowd.texts)))
    ] == [("r1", "r0")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Grüße, Ça và — “quoted” ‹so›, naïve Âge, Größe £5", ""),
        ("tab\tand line\nfeed", ""),
        ("A & B < C", ""),
        ("Gr\ufffd\ufffde", "replacement character"),
        ("a\x00b", "U+0000"),
        ("a\x85b", "U+0085"),
        ("half \ud83d", "surrogate"),
        ("Größe".encode().decode("cp1252"), "'Größe' was meant"),
        ("“so”".encode().decode("latin-1").replace("\x80", "").replace("\x9c", "").replace("\x9d", ""), ""),
        ("Ben &amp; Jerry", "&amp; is markup"),
    ],
)
def test_damage_is_named(text: str, said: str) -> None:
    assert damage(text) == said if not said else said in damage(text)


def test_lines_that_slipped_are_found_with_their_shift() -> None:
    draw = random.Random(2)
    lengths = [draw.randint(3, 120) for _ in range(1000)]
    targets = [n + draw.randint(0, 8) for n in lengths]
    assert shifted(lengths, targets) == []
    slipped = [*targets[:400], 50, *targets[400:]][:1000]
    assert shifted(lengths, slipped) == [Shifted(400, 1000, 1)]
    assert shifted(slipped, lengths) == [Shifted(400, 1000, -1)]
    assert shifted([5] * 1000, targets) == []


def test_lengths_far_out() -> None:
    draw = random.Random(3)
    lengths = [draw.randint(20, 60) for _ in range(500)]
    assert outliers(lengths) == []
    assert outliers([*lengths, 90_000]) == [500]
    assert uneven(lengths, [*lengths[:-1], 90_000]) == []
    noisy = [n + draw.randint(0, 9) for n in lengths]
    assert uneven(lengths, [*noisy[:-1], 90_000]) == [499]
    assert outliers([]) == []


def write(folder: Path, split: str, *texts: str) -> None:
    rows = (json.dumps({"id": f"{split}{number}", "source": text, "target": text}) for number, text in enumerate(texts))
    (folder / f"{split}.jsonl").write_text("".join(row + "\n" for row in rows))


def test_near_leaks_end_it_only_where_that_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "train", "abcdefghijabcdefghijklmnop", "bbb", "ccc")
    write(tmp_path, "dev", "abcdefghijabcdefghijklmnoq")
    write(tmp_path, "test", "eee")
    words = ["data.source=jsonl", f"data.path=[{str(tmp_path)!r}]"]
    assert doctor(TOY, [*words, "--json", str(tmp_path / "found.json")]) == 0
    assert "train and dev: 0 sources in both; 1 of dev nearly (100.0 %)" in capsys.readouterr().out
    (near,) = json.loads((tmp_path / "found.json").read_text())["between"]["train and dev"]["near"]
    assert (near["place"], near["other"]) == (f"{tmp_path}/dev.jsonl:1", f"{tmp_path}/train.jsonl:1")
    assert doctor(TOY, [*words, "--strict"]) == 3
    for wrong in (["--json"], ["--json", str(tmp_path / "no" / "x.json")], ["word"], ["a.toml", "b.toml"]):
        with pytest.raises(ConfigError):
            doctor(TOY, [*words, *wrong])


def test_fields_say_when_sources_are_the_same() -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("Bio")
    from tasks import TASKS

    reactions, proteins = TASKS["reaction_prediction"].alike, TASKS["protein_alignment"].alike
    assert reactions is not None
    assert proteins is not None
    same, near = twins(Crowd(reactions, records("CCO", "c1ccccc1")), records("OCC", "C1=CC=CC=C1", "CCN"))
    assert ([twin.other for twin in same], near) == (["r0", "r1"], [])
    first = "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVS"
    one = Record("a", (first, "MKV"))
    other = Record("b", (first.replace("SSYAMS", "SSYAMN"), "WWWWHHHH"))
    same, near = twins(Crowd(proteins, [one]), [other, Record("c", ("WWWWHHHH", "CCCCCC"))])
    assert [(twin.place, round(twin.share, 2)) for twin in near] == [("b", 0.98)]
    assert same == []
