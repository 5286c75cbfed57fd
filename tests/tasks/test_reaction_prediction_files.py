"""The field's files in, tables, drawings and a page out."""

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from core.data.config import DataConfig
from core.data.sources import read_records
from core.errors import BadRecord, DataError
from core.record import Hypothesis, Prediction, Record, Split
from core.run.inputs import read_inputs
from core.task import Format
from tasks.reaction_prediction import TASK
from tasks.reaction_prediction.files import TEXT
from tasks.reaction_prediction.settings import ReactionConfig
from tasks.reaction_prediction.written import ranked

GLN = "id,class,reactants>reagents>production\n"
MAPPED = "[CH3:1][OH:2].Cl[CH2:3][CH3:4]>>[CH3:1][O:2][CH2:3][CH3:4]"


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name.replace("__", ".").replace("_", "-")).write_text(text)
    return folder


def read(data: DataConfig, split: Split = "train", **task: Any) -> list[Record]:
    return read_records(TASK, ReactionConfig(**task), data, split).records


def found(path: Path, **task: Any) -> list[Record | str]:
    """Records and refusals of a file, in order."""
    form = next(one for one in TEXT.values() if path.name.endswith(one.endings) and one.read)
    assert form.read is not None
    got, reading = list[Record | str](), form.read(ReactionConfig(**task), path)
    while True:
        try:
            got.append(next(reading))
        except StopIteration:
            return got
        except BadRecord as error:
            got.append(str(error))


def pairs(records: list[Record | str]) -> list[Any]:
    return [one if isinstance(one, str) else (one.key, one.source, one.target) for one in records]


def test_reaction_smiles_by_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, train__rsmi=f"{MAPPED} US123 |f:0.1|\nCO>>C(\nOC\n\nCCl.N>O>CN\n") / "train.rsmi"
    assert pairs(found(path)) == [
        ("1", "CCOC", "CCCl.CO"),
        f"{path}:2: 'C(' is no molecule: syntax error about character 2",
        ("3", "CO", None),
        ("4", "", None),
        ("5", "CN", "CCl.N"),
    ]
    assert pairs(found(path, direction="forward"))[4] == ("5", "CCl.N.O", "CN")
    assert pairs(found(path, direction="reagents"))[4] == ("5", "CCl.N>>CN", "O")
    first = found(path, augmentation="root-aligned")[0]
    assert isinstance(first, Record)
    assert "aligned" in first.meta
    assert first.meta["bonds"] == "C-O"


def test_tables_by_the_names_of_their_columns(tmp_path: Path) -> None:
    gln = write(tmp_path, a__csv=GLN + f"US1,3,{MAPPED}\nUS2,4\nUS3,5,CO>C\nUS4,6,CN>>CNC\n") / "a.csv"
    assert pairs(found(gln)) == [
        ("2", "CCOC", "CCCl.CO"),
        f"{gln}:3: 2 cells where line 1 names 3 columns",
        f"{gln}:4: 1 of the arrows `>`; molecules, or reactants>reagents>product, are right",
        ("5", "CNC", "CN"),
    ]
    classes = [one.meta.get("class") for one in found(gln) if isinstance(one, Record)]
    assert classes == ["3", "6"]
    assert TASK.bins["class"](Record("1", "C", meta={"class": "3"})) == "3"

    sides = write(tmp_path, b__tsv="reactants\tREAGENTS\tProducts\nCN.CCl\tO\tCNC\n") / "b.tsv"
    assert pairs(found(sides, direction="forward", reagents="separated")) == [("2", "CCl.CN>O", "CNC")]
    own = write(tmp_path, c__csv='nr,in,out\n1,"CN.CCl",CNC\n') / "c.csv"
    assert pairs(found(own, reactants_column="in", product_column="out")) == [("2", "CNC", "CCl.CN")]
    with pytest.raises(DataError, match=r"c\.csv:1: none of the columns 'nr', 'in', 'out' is known to hold reactions"):
        found(own)
    with pytest.raises(DataError, match=r"c\.csv:1: no column 'outs' \(task\.product_column\); did you mean out\?"):
        found(own, product_column="outs")
    with pytest.raises(DataError, match=r"d\.csv:1: empty"):
        found(write(tmp_path, d__csv="") / "d.csv")


def test_a_table_may_say_itself_which_split_a_row_is_of(tmp_path: Path) -> None:
    text = "reactants,products,set\nCO,COC,train\nCN,CNC,valid\nCS,CSC,test\nCP,CPC,train\n"
    data = DataConfig(source="files", path=(str(write(tmp_path, all__csv=text) / "all.csv"),))
    assert [record.target for record in read(data)] == ["CO", "CP"]
    assert [record.target for record in read(data, "dev")] == ["CN"]
    assert [record.target for record in read(data, "test")] == ["CS"]
    (tmp_path / "all.csv").write_text(text + "CC,CCC,trian\n")
    with pytest.raises(BadRecord, match=r"all\.csv:6: set is 'trian'; train, valid or test is right"):
        read(data)


def test_molecular_transformers_two_files(tmp_path: Path) -> None:
    write(tmp_path, src_train__txt="C N C\nO C C\n", tgt_train__txt="C N . C Cl\nO C ( C ) = O\n")
    write(tmp_path, src_val__txt="C O C\n", tgt_val__txt="C O\n")
    data = DataConfig(source="files", path=(str(tmp_path),))
    assert [(one.source, one.target) for one in read(data)] == [("CNC", "CCl.CN"), ("CCO", "CC(=O)O")]
    assert [one.target for one in read(data, "dev")] == ["CO"]
    (tmp_path / "tgt-train.txt").write_text("C N . C Cl\nO C (\n")
    with pytest.raises(BadRecord, match=r"src-train\.txt:2: 'OC\(' is no molecule"):
        read(data)
    (tmp_path / "tgt-train.txt").write_text("C N . C Cl\n")
    with pytest.raises(DataError, match=r"has 2 lines, .* has 1"):
        read(data)
    (tmp_path / "tgt-train.txt").unlink()
    with pytest.raises(DataError, match=r"src-train\.txt has no tgt-train\.txt beside it"):
        read(data)


def test_a_folder_with_a_file_a_split(tmp_path: Path) -> None:
    write(tmp_path, train__txt="CO>>COC\nCN>>CNC\n", dev__txt="CS>>CSC\n", test__smi="CP>>CPC\n")
    data = DataConfig(source="files", path=(str(tmp_path),))
    assert [one.source for one in read(data)] == ["COC", "CNC"]
    assert [one.source for one in read(data, "test")] == ["CPC"]
    (tmp_path / "train.txt").write_text("CO>>COC\nCNC\n")
    with pytest.raises(BadRecord, match=r"train\.txt:2: no target; training and scoring need one"):
        read(data)


def rxn_block() -> str:
    from rdkit.Chem import rdChemReactions

    return str(rdChemReactions.ReactionToRxnBlock(rdChemReactions.ReactionFromSmarts(MAPPED, useSmiles=True)))


def test_rxn_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, ether__rxn=rxn_block()) / "ether.rxn"
    assert pairs(found(path)) == [("ether", "CCOC", "CCCl.CO")]
    for text, said in (
        ("", "it does not begin with $RXN"),
        ("$RXN\n\n", "no RXN file"),
        ("$RXN\nx\n\n\n 1 1\n", "no RXN"),
    ):
        path.write_text(text)
        (refused,) = found(path)
        assert isinstance(refused, str)
        assert refused.startswith(f"{path}:1: no RXN file")
        assert said in refused
    assert capfd.readouterr().err == ""


def test_jsonl_is_canonical_too(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "source": "C(C)OC", "target": "OC.ClCC", "meta": {"mapped": MAPPED}},
        {"id": "b", "source": "CO>>CNC", "target": "CN"},
        {"id": "c", "source": "C", "target": "C("},
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    form = DataConfig(source="jsonl", train=str(path), holdout=0, bad="skip")
    assert [(one.source, one.target) for one in read(form)] == [("CCOC", "CCCl.CO"), ("CNC", "CN")]
    with pytest.raises(BadRecord, match=r"train\.jsonl:3: `target`: 'C\(' is no molecule"):
        read(DataConfig(source="jsonl", train=str(path), holdout=0))


def test_inputs_keep_their_places(tmp_path: Path) -> None:
    path = write(tmp_path, in__txt="O C C\nC(\n\nCCN name\n>>CO\n") / "in.txt"
    refused: list[str] = []
    records = list(read_inputs(TASK, ReactionConfig(), (str(path),), refused))
    assert [one.source for one in records] == ["CCO", "", "", "CCN", "CO"]
    assert refused == [f"{path}:2: 'C(' is no molecule: syntax error about character 2"]


def hypotheses(*outputs: str) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(one, -n, (5,), (-0.5 * n - 0.1,)) for n, one in enumerate(outputs))


ESTER = Prediction(
    Record("ester", "CCOC(C)=O", None, {"direction": "retro"}),
    hypotheses("CCO.CC(=O)O", "OCC.CC(O)=O", "C(", "CC", "CCBr.CC(=O)[O-]"),
)
NOTHING = Prediction(Record("", "", None, {"error": "x.smi:3: <bad>"}), (Hypothesis("", 0.0),))


def test_answers_are_ranked_without_repetitions_and_with_warnings() -> None:
    answers = ranked(ESTER, 10)
    assert [(one.rank, one.smiles, one.valid) for one in answers] == [
        (1, "CC(=O)O.CCO", True),
        (2, "C(", False),
        (3, "CC", True),
        (4, "CC(=O)[O-].CCBr", True),
    ]
    assert answers[0].probability == pytest.approx(math.exp(-0.1))
    assert [one.warning for one in answers] == ["", "no molecule", "product has C2 O2 more than the reactants", ""]
    assert len(ranked(ESTER, 2)) == 2
    forward = Prediction(Record("1", "CC.O>Cl", None, {"direction": "forward"}), hypotheses("CCO", "CCN", "CCCl"))
    assert [one.warning for one in ranked(forward, 3)] == ["", "product has N more than what went in", ""]
    reagents = Prediction(Record("1", "CC>>CCBr", None, {"direction": "reagents"}), hypotheses("BrBr", "O"))
    assert [one.warning for one in ranked(reagents, 2)] == ["", "product has Br more than reactants and reagents"]


def form(name: str) -> Format[Any]:
    return TASK.formats[name]


def written(name: str, prediction: Prediction, n_best: int = 5) -> str:
    write = form(name).write
    assert write is not None
    text = write(prediction, n_best)
    assert isinstance(text, str)
    return text


def test_tables_have_a_row_an_answer_and_one_for_none() -> None:
    for name, delimiter in (("table", "\t"), ("csv", ",")):
        text = form(name).head + written(name, ESTER) + "\n" + written(name, NOTHING) + "\n"
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        assert [row["rank"] for row in rows] == ["1", "2", "3", "4", ""]
        assert rows[0]["smiles"] == "CC(=O)O.CCO"
        assert (rows[1]["valid"], rows[1]["warning"]) == ("no", "no molecule")
        assert float(rows[0]["probability"]) == pytest.approx(math.exp(-0.1), rel=1e-5)
        assert rows[4]["warning"] == "x.smi:3: <bad>"
    assert written("smiles", ESTER, 2) == "CC(=O)O.CCO\nC("
    assert written("smiles", ESTER, 6) == "CC(=O)O.CCO\nC(\nCC\nCC(=O)[O-].CCBr\n\n"
    assert written("smiles", NOTHING, 1) == ""
    assert written("smiles", NOTHING, 3) == "\n\n"


def test_drawings_are_svg_and_png(tmp_path: Path) -> None:
    text = written("svg", ESTER)
    tree = ET.fromstring(text)
    assert tree.tag.endswith("svg")
    assert len([one for one in tree if one.tag.endswith("svg")]) == 3, "three of the four can be drawn"
    assert "C2 O2 more" in text
    ET.fromstring(written("svg", NOTHING))
    draw = form("png").write
    assert draw is not None
    made = draw(ESTER, 5)
    assert isinstance(made, bytes)
    from PIL import Image

    picture = Image.open(io.BytesIO(made))
    assert picture.size[0] == 900
    assert picture.size[1] > 3 * 190
    dark = picture.convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
    assert dark is not None


def test_the_page_shows_every_input_and_escapes_what_is_not_its_own() -> None:
    evil = Prediction(Record("<script>", "CCO", None, {"direction": "retro"}), hypotheses("<b>", "CC\x00"))
    page = form("html").head + "\n".join(written("html", one) for one in (ESTER, NOTHING, evil)) + form("html").foot
    assert page.count("<section>") == 3
    assert page.count("<svg") == 3
    assert "<script>" not in page
    assert "<b>" not in page
    assert "\x00" not in page
    assert "x.smi:3: &lt;bad&gt;" in page
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")


@pytest.mark.slow
def test_a_tiny_run_end_to_end_and_the_way_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from core.cli import main

    tiny = "configs/reaction_prediction/tiny.toml"
    short = ("train.steps=40", "train.evaluate_every=40", "train.evaluate_records=8", "train.threads=1")
    retro, forward = str(tmp_path / "retro"), str(tmp_path / "forward")
    assert main("train", TASK, [tiny, "--run", retro, *short]) == 0
    assert main("train", TASK, [tiny, "--run", forward, "task.direction=forward", "task.reagents=none", *short]) == 0
    result = tmp_path / "result.json"
    asked = [retro, "--json", str(result), f"task.forward_run={forward}", "task.votes=2", "--by", "class"]
    assert main("evaluate", TASK, asked) == 0
    metrics = json.loads(result.read_text())["metrics"]
    assert 0 <= metrics["round_trip"]["value"] <= 100
    assert "forward:forward" in metrics["round_trip"]["signature"]
    assert "votes:2" in metrics["top@1"]["signature"]
    assert main("evaluate", TASK, [retro, f"task.forward_run={retro}"]) == 2
    capsys.readouterr()
    inputs = tmp_path / "in.smi"
    inputs.write_text("CCOC(C)=O\nC(\nCCNC(C)=O\n")
    assert main("predict", TASK, [retro, str(inputs), "--format", "table", "--n-best", "3"]) == 3
    out, err = capsys.readouterr()
    assert len({line.split("\t")[1] for line in out.splitlines()[1:]}) == 3
    assert f"{inputs}:2: 'C(' is no molecule" in err
    assert (
        main("predict", TASK, [retro, str(inputs), "--format", "png", "--output", str(tmp_path / "drawn") + "/"]) == 3
    )
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 3
