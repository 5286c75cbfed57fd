"""Speech to text: a recording -> the words that are said in it."""

from core.task import Task
from tasks.speech_to_text.baselines import empty, most_frequent
from tasks.speech_to_text.codec import codecs
from tasks.speech_to_text.debian import ASTERISK, FILLETS, TUXPAINT, of
from tasks.speech_to_text.features import SpeechFeatures
from tasks.speech_to_text.listening import listen
from tasks.speech_to_text.manifests import files
from tasks.speech_to_text.metrics import canonical, metrics, utility
from tasks.speech_to_text.noises import NOISES
from tasks.speech_to_text.page import STYLE, present
from tasks.speech_to_text.reading import read, read_target
from tasks.speech_to_text.recording import length_bin, voice_bin
from tasks.speech_to_text.settings import SpeechConfig
from tasks.speech_to_text.solving import cost, solve
from tasks.speech_to_text.subtitles import FORMATS
from tasks.speech_to_text.synthetic import synthetic
from tasks.speech_to_text.tones import tones
from tasks.speech_to_text.variation import augment, augment_among

TASK = Task(
    name="speech_to_text",
    config=SpeechConfig,
    sources={
        "synthetic": synthetic,
        "tones": tones,
        "fillets": of(FILLETS),
        "tuxpaint": of(TUXPAINT),
        "asterisk": of(ASTERISK),
        "files": files,
        "jsonl": files,
    },
    codecs=codecs,
    metrics=metrics,
    codec_types=(SpeechFeatures,),
    read=read,
    read_target=read_target,
    augment=augment,
    augment_among=augment_among,
    canonical=canonical,
    solve=solve,
    listen=listen,
    cost=cost,
    noises=NOISES,
    changeable=(
        "task.normaliser",
        "task.character_parts",
        "task.longest",
        "task.pause",
        "task.silence",
        "task.dynamics",
        "task.stream_rate",
        "task.stream_longest",
    ),
    utility=utility,
    baselines={"most-frequent": most_frequent, "empty": empty},
    formats=FORMATS,
    bins={"seconds": length_bin, "voice": voice_bin},
    present=present,
    present_style=STYLE,
)
