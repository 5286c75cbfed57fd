"""The files of the field by their endings and names."""

from __future__ import annotations

from core.task import Format
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.page import FOOT, HEAD, as_html
from tasks.protein_alignment.pairwise import report
from tasks.protein_alignment.picture import as_png, as_svg
from tasks.protein_alignment.reading import clustal_begins, never, read_fasta, reader, stockholm_begins
from tasks.protein_alignment.writing import CLUSTAL_NAME, PHYLIP_NAME, writer

FASTA = (".fasta", ".fa", ".faa", ".fas", ".afa")

FORMATS: dict[str, Format[AlignmentConfig]] = {
    "fasta": Format(
        endings=tuple(ending + packed for ending in FASTA for packed in ("", ".gz")),
        read=read_fasta,
        write=writer("fasta"),
        suffix=".fasta",
    ),
    "clustal": Format(
        endings=(".aln", ".clustal", ".clw"),
        read=reader("clustal", clustal_begins),
        write=writer("clustal", CLUSTAL_NAME),
        suffix=".aln",
    ),
    "stockholm": Format(
        endings=(".sto", ".stk", ".stockholm", ".sto.gz"),
        read=reader("stockholm", stockholm_begins),
        write=writer("stockholm"),
        suffix=".sto",
    ),
    "phylip": Format(
        endings=(".phy", ".phylip"), read=reader("phylip", never), write=writer("phylip", PHYLIP_NAME), suffix=".phy"
    ),
    "a2m": Format(endings=(".a2m",), read=reader("a2m", never), write=writer("a2m"), suffix=".a2m"),
    "msf": Format(endings=(".msf",), read=reader("msf", never)),
    "report": Format(write=report, suffix=".txt"),
    "html": Format(write=as_html, head=HEAD, foot=FOOT, suffix=".html"),
    "svg": Format(write=as_svg, suffix=".svg"),
    "png": Format(write=as_png, suffix=".png"),
}
