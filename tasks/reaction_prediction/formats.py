"""The field's files: SMILES and reaction SMILES by the line, tables, RXN; answers as text, tables, drawings and a page."""

from __future__ import annotations

from core.task import Format
from tasks.reaction_prediction.drawing import png, svg
from tasks.reaction_prediction.files import read_csv, read_rxn, read_smiles
from tasks.reaction_prediction.page import FOOT, HEAD, section
from tasks.reaction_prediction.written import COLUMNS, write_csv, write_smiles, write_tsv

FORMATS = {
    "smiles": Format(
        endings=(".smi", ".smi.gz", ".smiles", ".rsmi", ".rsmi.gz"), read=read_smiles, write=write_smiles, suffix=".smi"
    ),
    "table": Format(write=write_tsv, head="\t".join(COLUMNS) + "\n", suffix=".tsv"),
    "csv": Format(
        endings=(".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        read=read_csv,
        write=write_csv,
        head=",".join(COLUMNS) + "\n",
        suffix=".csv",
    ),
    "rxn": Format(endings=(".rxn",), read=read_rxn),
    "svg": Format(write=svg, suffix=".svg"),
    "png": Format(write=png, suffix=".png"),
    "html": Format(write=section, head=HEAD, foot=FOOT, suffix=".html"),
}
