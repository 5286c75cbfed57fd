"""Reactions: a product -> its reactants (retro), reactants -> their product (forward), a reaction -> its reagents."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.codec.types import Codecs
from core.record import Record
from core.task import Task
from tasks.reaction_prediction.alike import ALIKE
from tasks.reaction_prediction.augment import augment
from tasks.reaction_prediction.baselines import copy, nearest
from tasks.reaction_prediction.chemistry import canonical, tanimoto
from tasks.reaction_prediction.codec import SmilesTokenizer, codecs
from tasks.reaction_prediction.files import files
from tasks.reaction_prediction.formats import FORMATS
from tasks.reaction_prediction.metrics import metrics
from tasks.reaction_prediction.noises import NOISES
from tasks.reaction_prediction.page import LEGEND, STYLE, present, reference
from tasks.reaction_prediction.reaction import read_answer, read_source
from tasks.reaction_prediction.settings import ReactionConfig
from tasks.reaction_prediction.sources import both, orderly, uspto50k
from tasks.reaction_prediction.toy import toy
from tasks.reaction_prediction.voting import solve

if TYPE_CHECKING:
    from core.decode.rules import Rule
    from core.model.features import LearnedFeatures


def read(cfg: ReactionConfig, value: Any, folder: Path) -> str:
    """A source of the direction, canonical."""
    return read_source(cfg, value)


def same_answer(cfg: ReactionConfig) -> Callable[[str], str | None]:
    """Canonical SMILES."""
    return canonical


def rule(cfg: ReactionConfig, made: Codecs) -> "Rule | None":
    """Where `task.rule` says so."""
    if not cfg.rule or not isinstance(made.target, SmilesTokenizer):
        return None
    from tasks.reaction_prediction.rule import SmilesRule  # torch

    return SmilesRule(made.target)


def features(cfg: ReactionConfig, made: Codecs) -> "LearnedFeatures | None":
    """Where `task.follow` says so."""
    if not cfg.follow:
        return None
    from tasks.reaction_prediction.following import Following  # torch

    return Following(made.target.size)


def reaction_class(record: Record) -> str:
    """As the data say: `class`, one of ten by Schneider and others."""
    return str(record.meta.get("class") or "not given")


def bonds(record: Record) -> str:
    """Which bonds the reaction makes, where atom maps told."""
    return str(record.meta.get("bonds") or "not known")


def stereo(record: Record) -> str:
    """Whether the source has any stereochemistry."""
    return "with stereo" if any(mark in record.source for mark in "@/\\") else "without"


TASK = Task(
    name="reaction_prediction",
    config=ReactionConfig,
    sources={"uspto50k": uspto50k, "orderly": orderly, "both": both, "toy": toy, "files": files},
    codecs=codecs,
    codec_types=(SmilesTokenizer,),
    licences={
        "uspto50k": "MIT (the package; reactions of patents by Lowe)",
        "orderly": "MIT (the package; reactions of patents by Lowe)",
        "both": "MIT (the packages; reactions of patents by Lowe)",
        "toy": "generated, free of rights",
    },
    limits="Reactions of patents favour what was patented and worked: a proposal has no yield, no conditions, and nothing on safety.",
    metrics=metrics,
    read=read,
    read_target=read_answer,
    rule=rule,
    features=features,
    augment=augment,
    canonical=same_answer,
    solve=solve,
    noises=NOISES,
    alike=ALIKE,
    changeable=("task.votes", "task.vote_alpha", "task.rule", "task.invalid", "task.forward_run"),
    utility=tanimoto,
    baselines={"copy": copy, "nearest": nearest},
    formats=FORMATS,
    bins={"class": reaction_class, "bonds": bonds, "stereo": stereo},
    present=present,
    present_target=reference,
    present_legend=LEGEND,
    present_style=STYLE,
)
