"""The [task] table of speech to text."""

from __future__ import annotations

from typing import Literal

from core.codec.subword import SubwordKind
from core.config import AtLeast0, AtLeast1, Impossible, NotNegative, Positive, Share, config

SLOWEST, FASTEST = 0.5, 2.0


@config
class SpeechConfig:
    """The [task] table."""

    rate: int = 16_000
    """Sound is brought to so many samples a second, whatever it has (8000: telephone)."""
    bands: int = 80
    """Mel bands of the spectrogram, 25 ms windows every 10 ms."""
    normalise: Literal["utterance", "global"] = "utterance"
    """Each band's mean and deviation become 0 and 1: over the utterance itself, or by what all of train has (CMVN)."""
    tokens: Literal["characters", "subwords"] = "characters"
    """What texts are spelled in."""
    vocabulary: int = 400
    """Subwords in all, where texts are spelled in them."""
    subwords: SubwordKind = "unigram"
    text: Literal["basic", "verbatim"] = "basic"
    """`basic`: texts are read in lower case without punctuation, and so the model writes them; `verbatim`: as they stand."""
    normaliser: Literal["basic", "none"] = "basic"
    """What is done to answers and references before errors are counted; named in the signatures."""
    language: str = ""
    """Of Debian's recordings: `cs` or `nl` for fillets; `en`, `es`, `fr`, `it` or `ru` for asterisk; of tuxpaint one of ten.
    Empty: the first that a source has."""
    character_parts: bool = False
    """Report the substitutions, deletions and insertions of characters too."""

    speeds: tuple[float, ...] = (1.0,)
    """Training recordings are played at one of these speeds, drawn anew each epoch (Ko et al., 2015: 0.9, 1, 1.1)."""
    masked_bands: AtLeast0 = 2
    """SpecAugment (Park et al., 2019): so many stripes of bands are blanked in each training utterance."""
    masked_band: Share = 0.2
    """The widest of them, as a share of all bands."""
    masked_times: NotNegative = 1.0
    """So many stretches of time are blanked, on average, in each second."""
    masked_time: NotNegative = 0.15
    """The longest of them, in seconds."""
    concatenated: Share = 0.0
    """Share of training utterances behind which another one is put, drawn at random."""
    concatenated_most: AtLeast1 = 1
    """At most so many others are put there, each number from 1 on as often."""
    concatenated_voice: Literal["any", "same"] = "any"
    """Whose: of anyone, or of the speaker of the first, where `meta.speaker` says who that is."""
    noise: Share = 0.0
    """Share of training utterances to which stationary noise is added, 0 to 30 dB below the speech."""

    longest: NotNegative = 0.0
    """Seconds that are recognised at a time; longer recordings are cut at silences. 0: as long as the longest of train."""
    pause: Positive = 0.4
    """Seconds of silence at which long recordings and streams may be cut."""
    silence: float = -60.0
    """dB below full scale under which nothing is heard: such a recording has an empty text."""
    dynamics: NotNegative = 6.0
    """A faint recording (below -40 dB) whose loudness varies by less than so many dB is noise: its text is empty."""
    stream_rate: int = 16_000
    """`predict --stream`: the rate of raw 16-bit PCM; a WAV header says its own."""
    stream_longest: Positive = 10.0
    """`predict --stream`: a segment is answered after so many seconds even if nobody pauses."""

    def __post_init__(self) -> None:
        for field, value in (("rate", self.rate), ("stream_rate", self.stream_rate)):
            if not 4_000 <= value <= 192_000:
                raise Impossible(field, f"{value} is not between 4000 and 192000")
        if not 8 <= self.bands <= 128:
            raise Impossible("bands", f"{self.bands} is not between 8 and 128")
        if not 30 <= self.vocabulary <= 20_000:
            raise Impossible("vocabulary", f"{self.vocabulary} is not between 30 and 20000")
        if not self.speeds or not all(SLOWEST <= speed <= FASTEST for speed in self.speeds):
            raise Impossible("speeds", f"{list(self.speeds)}: one at least, each between {SLOWEST:g} and {FASTEST:g}")
        if not self.concatenated and self.concatenated_most > 1:
            raise Impossible("concatenated_most", "nothing is put behind another: set concatenated above 0")
        if not self.concatenated and self.concatenated_voice != "any":
            raise Impossible("concatenated_voice", "nothing is put behind another: set concatenated above 0")
        if 0 < self.longest < 1:
            raise Impossible("longest", f"{self.longest} seconds are too few to recognise words; 1 at least, or 0")
