"""Protein alignment: sequences that descend from one -> the same with gaps, so that what belongs together stands together."""

from core.task import Task
from tasks.protein_alignment.alignment import canonical
from tasks.protein_alignment.alike import ALIKE
from tasks.protein_alignment.augment import augment
from tasks.protein_alignment.codec import ColumnCodec, ResidueCodec, codecs
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.files import files
from tasks.protein_alignment.formats import FORMATS
from tasks.protein_alignment.metrics import identity_band, metrics, part, utility
from tasks.protein_alignment.needleman_wunsch import baseline, ungapped
from tasks.protein_alignment.noises import NOISES
from tasks.protein_alignment.page import LEGEND, STYLE, present, reference
from tasks.protein_alignment.parts import features, rule
from tasks.protein_alignment.simulated import simulated
from tasks.protein_alignment.solve import solve
from tasks.protein_alignment.toy import toy
from tasks.protein_alignment.values import read, read_target
from tasks.protein_alignment.vgenes import vgenes

TASK = Task(
    name="protein_alignment",
    config=AlignmentConfig,
    sources={"vgenes": vgenes, "simulated": simulated, "toy": toy, "files": files},
    codecs=codecs,
    licences={
        "vgenes": "BSD-3-Clause (the package; the sequences are IMGT's, to be cited)",
        "simulated": "generated, free of rights",
        "toy": "generated, free of rights",
    },
    limits="Simulated evolution and V genes are two kinds of homology: distant and repeated domains may be aligned wrongly, and surely.",
    metrics=metrics,
    codec_types=(ResidueCodec, ColumnCodec),
    read=read,
    read_target=read_target,
    rule=rule,
    features=features,
    augment=augment,
    canonical=lambda cfg: canonical,
    solve=solve,
    noises=NOISES,
    alike=ALIKE,
    utility=utility,
    baselines={"needleman-wunsch": baseline, "ungapped": ungapped},
    baselines_learn=False,
    formats=FORMATS,
    bins={"identity": identity_band, "part": part},
    present=present,
    present_target=reference,
    present_legend=LEGEND,
    present_style=STYLE,
    changeable=("task.piece", "task.fasta"),
)
