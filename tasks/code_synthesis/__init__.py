"""Code synthesis: a request in words -> a program, a line, a query or an expression that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.codec.types import Codecs
from core.task import Task
from tasks.code_synthesis.agreeing import utilities
from tasks.code_synthesis.baselines import most_frequent, nearest
from tasks.code_synthesis.binning import depth
from tasks.code_synthesis.canonical import canonical, read_target
from tasks.code_synthesis.choosing import solve
from tasks.code_synthesis.codec import CodeTokenizer, codecs
from tasks.code_synthesis.config import CodeConfig
from tasks.code_synthesis.docstrings import docstrings
from tasks.code_synthesis.files import FORMATS, files
from tasks.code_synthesis.metrics import metrics
from tasks.code_synthesis.noises import NOISES
from tasks.code_synthesis.page import LEGEND, STYLE, present, reference
from tasks.code_synthesis.synthetic import synthetic, tiny

if TYPE_CHECKING:  # torch is imported only when a rule is needed
    from core.decode.rules import Rule


def rule(cfg: CodeConfig, codecs: Codecs) -> Rule | None:
    """Every finished hypothesis parses (python, python-line)."""
    from tasks.code_synthesis.rules import python_rule

    return python_rule(cfg, codecs)


TASK = Task(
    name="code_synthesis",
    config=CodeConfig,
    sources={"synthetic": synthetic, "tiny": tiny, "docstrings": docstrings, "files": files},
    codecs=codecs,
    licences={
        "synthetic": "generated, free of rights",
        "tiny": "generated, free of rights",
        "docstrings": "each function that of its package",
    },
    limits="Programs that pass a few tests may still be wrong, and one that is run outside of a jail may do anything.",
    metrics=metrics,
    codec_types=(CodeTokenizer,),
    read_target=read_target,
    rule=rule,
    canonical=canonical,
    solve=solve,
    utilities=utilities,
    noises=NOISES,
    changeable=(
        "task.choose",
        "task.pass_at",
        "task.attempts",
        "task.seconds",
        "task.memory",
        "task.database",
        "task.rule",
    ),
    baselines={"most-frequent": most_frequent, "nearest": nearest},
    formats=FORMATS,
    bins={"depth": depth},
    present=present,
    present_target=reference,
    present_legend=LEGEND,
    present_style=STYLE,
)
