"""What training minimises: the negative log-likelihood of the wanted words, and what the switches of [train] add to it or change.

Each switch is on its own: hidden words and own words change what is read, agreement (R-Drop) reads twice, a teacher adds its
cross-entropy, a risk its expected cost, coverage the loss for looking again at what was seen. With R-Drop the loss is half of
Liang et al.'s, the mean of two likelihoods and half the weight times the divergence, so that a learning rate means what it
meant. Without any switch this is the model's own loss, chunk by chunk.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from core.config import Impossible
from core.data.batch import Batch
from core.decode.rules import Rule, SearchOnly
from core.model.front import FrameFront
from core.model.rnn import RecurrentDecoder
from core.model.seq2seq import Seq2Seq
from core.model.state import Memory
from core.nn.copying import CopyingHead
from core.nn.pointing import PointerHead
from core.train.agreement import among_legal, divergence, taught
from core.train.config import TrainConfig
from core.train.forcing import read_twice, share_of_truth, walk
from core.train.hiding import hidden_given, hidden_source
from core.train.risk import Risk

# B batch, T target, D width, V vocabulary


class Reading(NamedTuple):
    """A batch read once."""

    memory: Memory
    hidden_BTD: Tensor
    loss: Tensor


class Objective:
    """A batch -> its loss, summed over target tokens."""

    def __init__(
        self,
        model: Seq2Seq,
        cfg: TrainConfig,
        *,
        rule: Rule | None = None,
        teacher: Seq2Seq | None = None,
        risk: Risk | None = None,
    ) -> None:
        self.model, self.cfg, self.teacher, self.risk = model, cfg, teacher, risk
        self.rule = None if isinstance(rule, SearchOnly) else rule
        self.plain = cfg.forcing == "always" and not (
            cfg.word_dropout
            or cfg.target_word_dropout
            or cfg.r_drop
            or cfg.coverage
            or teacher is not None
            or risk is not None
        )
        points = isinstance(model.head, (CopyingHead, PointerHead))
        self.looking = bool(cfg.coverage) and not points
        """Whether the coverage loss needs the decoder's own weights."""
        if self.looking and not (
            isinstance(model.decoder, RecurrentDecoder) and model.decoder.attention_layer is not None
        ):
            reason = "no single attention to cover: set model.copy = true or model.head = 'pointer', or a recurrent decoder's"
            raise Impossible("train.coverage", reason)
        if self.looking and cfg.forcing != "always":
            reason = (
                "a decoder that reads words it has drawn keeps no weights of its attention: cover that of model.copy"
            )
            raise Impossible("train.coverage", reason)
        if not model.reads_words and (cfg.forcing != "always" or cfg.target_word_dropout):
            key = "forcing" if cfg.forcing != "always" else "target_word_dropout"
            raise Impossible(f"train.{key}", "this model.head reads no words of the target: leave it out")
        follows = "this task's rule and prefix features follow the true answer"
        if (self.rule is not None or model.features is not None) and cfg.forcing != "always":
            raise Impossible("train.forcing", f'{follows}, not words that the decoder draws: use "always"')
        if model.features is not None and cfg.target_word_dropout:
            raise Impossible("train.target_word_dropout", f"{follows}, which must not be hidden: use 0")
        if isinstance(model.front, FrameFront) and cfg.word_dropout:
            raise Impossible("train.word_dropout", "this task's sources are frames, not words: use 0")
        if model.ctc_weight == 1.0 and (not self.plain or cfg.adversarial):
            raise Impossible("train", "model.ctc = 1 trains no decoder, which these switches are about: set them off")

    def __call__(self, batch: Batch, step: int) -> Tensor:
        """At this step (from 0), under the switches."""
        legal_BTV = self.legal(batch)
        if self.plain:
            return self.model.loss(batch, smoothing=self.cfg.label_smoothing, legal_BTV=legal_BTV)
        one = self.read(batch, step, legal_BTV)
        loss, wanted_BT = one.loss, batch.wanted_BT
        if self.cfg.r_drop:
            other = self.read(batch, step, legal_BTV)
            apart = divergence(self.logp(one, legal_BTV), self.logp(other, legal_BTV), wanted_BT)
            loss = 0.5 * (one.loss + other.loss) + 0.5 * self.cfg.r_drop * apart
        if self.teacher is not None:
            wish_BTV = self.teaching(self.teacher, batch, legal_BTV)
            told = taught(self.logp(one, legal_BTV), wish_BTV, wanted_BT, self.cfg.teacher_temperature)
            loss = (1 - self.cfg.teacher_weight) * loss + self.cfg.teacher_weight * told
        if self.risk is not None:
            loss = (1 - self.cfg.risk) * loss + self.cfg.risk * self.risk(self.model, batch, one.memory)
        return loss

    def read(self, batch: Batch, step: int, legal_BTV: Tensor | None) -> Reading:
        """Once, with words hidden and own words drawn anew."""
        seen = hidden_source(batch, self.cfg.word_dropout)
        memory = self.model.encode(seen)
        truth = share_of_truth(step, kind=self.cfg.forcing, floor=self.cfg.forcing_floor, steps=self.cfg.steps)
        looks: list[Tensor] = []
        if truth < 1 and isinstance(self.model.decoder, RecurrentDecoder):
            hidden_BTD = walk(self.model, seen, memory, truth, self.cfg.target_word_dropout)
        else:
            given_BT = read_twice(self.model, seen, memory, truth) if truth < 1 else batch.given_BT
            if self.cfg.target_word_dropout:
                given_BT = hidden_given(given_BT, self.cfg.target_word_dropout)
            hidden_BTD = self.model(seen, memory, given_BT, looks if self.looking else None)
        loss = self.model.loss_of(
            hidden_BTD, memory, batch.wanted_BT, smoothing=self.cfg.label_smoothing, legal_BTV=legal_BTV
        )
        if self.cfg.coverage:
            loss = loss + self.cfg.coverage * self.model.looked_again(hidden_BTD, looks, batch.wanted_BT, memory)
        return Reading(memory, hidden_BTD, loss)

    def logp(self, reading: Reading, legal_BTV: Tensor | None) -> Tensor:
        """[B, T, V]; the whole vocabulary at every place, which the plain loss never has."""
        return among_legal(self.model.head.logp(reading.hidden_BTD, reading.memory), legal_BTV)

    def teaching(self, teacher: Seq2Seq, batch: Batch, legal_BTV: Tensor | None) -> Tensor:
        """What the teacher says after true words."""
        with torch.no_grad():
            memory = teacher.encode(batch)
            return among_legal(teacher.head.logp(teacher(batch, memory), memory), legal_BTV)

    def legal(self, batch: Batch) -> Tensor | None:
        """Over what words the losses run."""
        if self.rule is None:
            return None
        from core.decode.constraints import teacher_forced

        return teacher_forced(self.rule, batch)
