"""Summarization: a text -> a shorter one that says what it is about."""

from core.task import Task
from tasks.summarization.baselines import lead_1, lead_3, lead_words
from tasks.summarization.codec import codecs
from tasks.summarization.files import FORMATS, files
from tasks.summarization.metrics import metrics, overlap, rouge_l
from tasks.summarization.page import LEGEND, STYLE, present
from tasks.summarization.settings import SummarizationConfig
from tasks.summarization.sources import ansible, debian, debian_or_ansible
from tasks.summarization.toy import toy

TASK = Task(
    name="summarization",
    config=SummarizationConfig,
    sources={
        "debian-or-ansible": debian_or_ansible,
        "debian": debian,
        "ansible": ansible,
        "toy": toy,
        "files": files,
    },
    codecs=codecs,
    licences={
        "debian-or-ansible": "Debian: each description that of its package; Ansible: GPL-3.0-or-later",
        "debian": "each description that of its package",
        "ansible": "GPL-3.0-or-later",
        "toy": "generated, free of rights",
    },
    limits="A summary may say what its text does not; it was trained on descriptions of software alone.",
    metrics=metrics,
    changeable=(
        "task.article_column",
        "task.summary_column",
        "task.rouge_stemmer",
        "task.rouge_words",
        "task.rouge_sentences",
        "task.rouge_references",
        "task.novelty",
    ),
    utility=rouge_l,
    baselines={"lead-1": lead_1, "lead-3": lead_3, "lead-words": lead_words},
    formats=FORMATS,
    bins={"reference-in-text": overlap},
    present=present,
    present_legend=LEGEND,
    present_style=STYLE,
)
