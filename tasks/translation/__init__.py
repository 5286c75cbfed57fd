"""Translation: a sentence in one language -> the same in another."""

from core.data.text_noise import text_noises
from core.task import Task
from tasks.translation.baselines import copy, translation_memory
from tasks.translation.binning import form, placeholders
from tasks.translation.codec import augment, codecs
from tasks.translation.data import PLACEHOLDER, TranslationConfig, homeassistant, toy_phrases
from tasks.translation.debian import debian, libreoffice
from tasks.translation.files import FORMATS, files
from tasks.translation.metrics import alike, metrics

TASK = Task(
    name="translation",
    config=TranslationConfig,
    sources={
        "homeassistant": homeassistant,
        "debian": debian,
        "libreoffice": libreoffice,
        "phrases": toy_phrases,
        "files": files,
    },
    codecs=codecs,
    licences={
        "homeassistant": "Apache-2.0",
        "debian": "each description that of its package",
        "libreoffice": "MPL-2.0",
        "phrases": "generated, free of rights",
    },
    limits="It has read one kind of text (the messages of programs), a sentence at a time: names, numbers and negations may be lost.",
    metrics=metrics,
    augment=augment,
    noises=text_noises(PLACEHOLDER.pattern),
    changeable=("task.bleu_tokens", "task.bleu_lowercase", "task.bleu_tokenised", "task.ter"),
    utility=alike,
    baselines={"copy": copy, "translation-memory": translation_memory},
    formats=FORMATS,
    bins={"form": form, "placeholders": placeholders},
)
