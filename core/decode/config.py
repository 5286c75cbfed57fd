"""The [search] table."""

from __future__ import annotations

import math
from typing import Literal

from core.config import AtLeast0, AtLeast1, Impossible, NotNegative, Share, config


@config
class SearchConfig:
    """How answers are looked for (docs/decoding.md)."""

    strategy: Literal["beam", "greedy", "sample", "stochastic", "ctc"] = "beam"
    """Keep the best few, follow the likeliest, or draw; `stochastic`: draw, but nothing twice (stochastic beam search; Kool et
    al., 2019); `ctc`: by the CTC head alone, a beam of prefixes, or with one beam the likeliest path over the frames."""
    beams: AtLeast1 = 5
    """Hypotheses kept (beam, ctc), or samples drawn (sample, stochastic); greedy has one."""
    n_best: AtLeast1 = 1
    """Answers given for each source."""
    groups: AtLeast1 = 1
    """beam: the hypotheses stand in so many groups, that avoid each other's tokens (diverse beam search; Vijayakumar et al.,
    2018); must divide `beams`."""
    group_penalty: NotNegative = 0.5
    """What a token costs in the choice of a group for each hypothesis of earlier groups that says it at the same step."""
    ended: Literal["any", "front"] = "any"
    """Which ended candidates count: `any` of the 2 x beams best continuations; `front`: those among the `beams` best, and what
    the limit cuts competes by its score with what ended, as in Hugging Face's `generate` (early_stopping = "never")."""
    decide: Literal["score", "utility"] = "score"
    """What is best among the answers found: the `score`; or by `utility`, the one that is most like all of them as the task
    measures it, each weighing its probability (minimum Bayes risk; Kumar & Byrne, 2004). The score then is that utility."""
    rerank: tuple[str, ...] = ()
    """Opinions added to the scores of all answers found, each `KIND:WHAT` or `KIND:WHAT*WEIGHT`: what another run thinks of an answer
    (`run:RUN`), of the source given the answer (`reverse:RUN`, the noisy channel), of the answer alone (`lm:RUN`, trained with empty
    sources), or a function of source and output (`python:FILE.py:NAME`)."""
    length_penalty: float = 1.0
    """A hypothesis scores its summed log-probability divided by its length (the end symbol counts) to this power. Not for
    `ctc`, whose sums are those of whole outputs."""
    length_form: Literal["power", "gnmt"] = "power"
    """What is taken to that power: the length n itself, or (5 + n) / 6, which minds short outputs less (Wu et al., 2016)."""
    length_ratio: NotNegative = 2.0
    """The longest output is `length_ratio` x the source's length + `length_extra` tokens, the end symbol included."""
    length_extra: AtLeast1 = 20
    """See `length_ratio`."""
    shortest_ratio: NotNegative = 0.0
    """The shortest output is `shortest_ratio` x the source's length + `shortest_extra` tokens, the end symbol not counted, but
    never so much that the longest could not end."""
    shortest_extra: AtLeast0 = 0
    """See `shortest_ratio`."""
    coverage: NotNegative = 0.0
    """An answer that has ended scores `coverage` x the sum over source symbols of log(min(attention received, 1)) more, which is
    less (coverage penalty; Wu et al., 2016): the model is to read all of its source."""
    prefix: str = ""
    """What every output begins with; a record's own `meta.prefix` takes its place."""
    include: tuple[str, ...] = ()
    """What every output says somewhere; a record's own `meta.include` is added."""
    exclude: tuple[str, ...] = ()
    """What no output says; a record's own `meta.exclude` is added."""
    shortlist: str = ""
    """A text file: outputs are made of the symbols that occur in its lines alone."""
    draft: AtLeast0 = 0
    """greedy: guess so many tokens ahead by copying from the source, and check them in one step (speculative decoding; after
    Leviathan et al., 2023): the answers are those of greedy search, sooner where outputs repeat their source."""
    ctc_weight: Share = 0.3
    """Of the CTC head beside the decoder (which has the rest), in beam and greedy search, where the model has such a head."""
    align: bool = False
    """Say which frames each token was heard in, by the CTC head (forced alignment)."""
    no_repeat: AtLeast0 = 0
    """No n-gram of this size twice in an output; 0 allows all."""
    temperature: NotNegative = 1.0
    """sample, stochastic: 0 is greedy."""
    top_k: AtLeast0 = 0
    """sample: among so many likeliest tokens; 0 among all."""
    top_p: Share = 1.0
    """sample: among the fewest tokens that hold this much probability."""
    min_p: Share = 0.0
    """sample: among the tokens at least this probable, as a share of the likeliest one (Nguyen et al., 2024)."""
    typical_p: Share = 1.0
    """sample: among the tokens whose surprise is nearest to the expected one, the fewest that hold this much probability
    (Meister et al., 2023)."""
    engine: Literal["torch", "native"] = "torch"
    """What takes the steps of a Transformer's decoder on a CPU: torch, or C++ that a compiler of this machine makes for its processor,
    once. The answers are the same but for ties within rounding (docs/speed.md)."""
    precision: Literal["float32", "int8"] = "float32"
    """native: of the decoder's weights and of what they are multiplied by, each row with a scale of its own. A run has to be permitted
    `int8`: evaluate it on dev with it, and it is if no metric moves by more than 0.2."""
    batch_tokens: AtLeast1 = 4096
    """Budget of a decoding batch: source tokens, pads included, times beams."""

    def __post_init__(self) -> None:
        if self.strategy != "greedy" and self.n_best > self.beams:
            raise Impossible("n_best", f"{self.n_best} answers need at least as many beams, not {self.beams}")
        if self.strategy == "greedy" and self.n_best > 1:
            raise Impossible("n_best", "greedy search has one answer")
        if self.groups > 1 and self.strategy != "beam":
            raise Impossible("groups", f"only a beam has groups, not strategy = {self.strategy!r}")
        if self.beams % self.groups:
            raise Impossible("groups", f"{self.groups} groups do not divide {self.beams} beams")
        if self.precision != "float32" and self.engine != "native":
            raise Impossible("precision", f'{self.precision} is for engine = "native"')
        if self.engine == "native" and (self.draft or self.coverage):
            raise Impossible("engine", f"the native step knows no search.{'draft' if self.draft else 'coverage'}")
        if self.draft and self.strategy != "greedy":
            raise Impossible("draft", f'drafts are for strategy = "greedy", not {self.strategy!r}')

    @property
    def draws(self) -> bool:
        """Whether answers are drawn at random."""
        return self.strategy in ("sample", "stochastic") and self.temperature > 0

    @property
    def width(self) -> int:
        """Hypotheses per source."""
        return 1 if self.strategy == "greedy" else self.beams

    @property
    def penalty(self) -> float:
        """The length penalty in force."""
        return 0.0 if self.strategy == "ctc" else self.length_penalty

    def divisor(self, length: int) -> float:
        """What a sum over so many tokens is divided by."""
        return normaliser((5 + length) / 6 if self.length_form == "gnmt" else length, self.penalty)


def normaliser(length: float, penalty: float) -> float:
    """length ** penalty, within 1e-30 and 1e30 so that every score is a number."""
    size = penalty * math.log(max(length, 1))
    return max(length, 1) ** penalty if abs(size) <= 69 else 1e30 if size > 0 else 1e-30
