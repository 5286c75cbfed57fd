"""The gradients of a step: of all its micro-batches and processes, in parts where memory asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from core.data.batch import Batch
from core.data.order import mixed
from core.model.seq2seq import Seq2Seq
from core.train.adversarial import Pushes
from core.train.config import TrainConfig
from core.train.parallel import Engine, Loss
from core.train.ranks import Ranks
from core.train.room import Room, places, ran_out

ADVICE = "lower batch.longest, or the model's size"


class Gradients:
    """Left in the model's parameters, for the optimizer."""

    def __init__(
        self,
        model: Seq2Seq,
        loss: Loss,
        cfg: TrainConfig,
        key: Callable[[int], int],
        *,
        device: torch.device,
        precision: str,
        ranks: Ranks,
    ) -> None:
        """`key`: of all that is drawn for a micro-batch of the next step."""
        self.model, self.cfg, self.key, self.device, self.ranks = model, cfg, key, device, ranks
        self.bf16 = precision == "bf16"
        self.loss = loss
        self.engine = Engine(model, loss, cfg, ranks)
        self.room = Room()
        self.divides = True
        """Whether a batch without room is learned from in parts, or is an error."""
        self.say: Callable[[str], None] = lambda text: None

    def of(self, micro: Sequence[Batch], step: int, tokens: int) -> Tensor:
        """The summed loss of this process. `tokens` are those of all: the gradients are of the loss per token.

        Where memory runs out in any process, all begin anew with smaller parts.
        """
        while True:
            pieces = self.pieces(micro)
            total, short = torch.zeros((), device=self.device), False
            self.ranks.at(f"gradients of step {step + 1:,}")
            try:
                for number, (seed, part) in enumerate(pieces):
                    self.room.trying(part)
                    meet = number == len(pieces) - 1
                    total += self.learned(part.to(self.device), seed, step, tokens, meet=meet).detach()
                    self.ranks.moved()
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error) or not self.engine.careful or not self.divides:
                    raise
                short = True
            if not self.engine.careful:
                return total
            if self.all_had_room(step, short=short):
                self.engine.exchange()
                return total

    def pieces(self, micro: Sequence[Batch]) -> list[tuple[int, Batch]]:
        """The micro-batches in parts that have room, each with the seed of all that is drawn for it."""
        return [
            (mixed(self.key(number), part) if part else self.key(number), one)
            for number, batch in enumerate(micro)
            for part, one in enumerate(self.room.parts(batch))
        ]

    def all_had_room(self, step: int, *, short: bool) -> bool:
        """Whether no process ran out; else the gradients are gone, and all know how much there may be room for."""
        if not self.ranks.greatest(short):
            return True
        self.forget()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.room.most = -round(self.ranks.greatest(-self.room.half(short=short, advice=ADVICE)))
        self.say(
            f"out of memory at step {step + 1:,}: at most {self.room.most:,} tokens at once from here on, for the same updates"
        )
        return False

    def rehearse(self, largest: Batch, step: int) -> int:
        """Gradients that are thrown away, of a batch as large as any; its places."""
        while True:
            short = False
            try:
                for part in [largest] if self.engine.sharded else self.room.parts(largest):
                    self.room.trying(part)
                    torch.manual_seed(0)
                    with self.autocast():
                        loss = (self.engine if self.engine.sharded else self.loss)(part.to(self.device), -1)
                    loss.backward()
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error) or self.engine.sharded:
                    raise
                short = True
            if self.engine.sharded or self.all_had_room(step, short=short):
                self.forget()
                return places(largest)
            self.engine.careful = True  # what ran out once may do so again, while gradients are exchanged

    def forget(self) -> None:
        """All gradients."""
        self.model.zero_grad(set_to_none=True)

    def learned(self, batch: Batch, seed: int, step: int, tokens: int, *, meet: bool) -> Tensor:
        """Gradients of a batch's loss, and its loss where pushed embeddings are to be learned as well; the first is returned.

        With the last batch of a step (`meet`) the gradients of all processes meet, where they do so while they are computed. A
        process without a share of a batch reads one that does not count.
        """
        counts = self.engine.weight if batch.tokens else 0.0
        pushes = Pushes(self.cfg.adversarial) if self.cfg.adversarial else None
        torch.manual_seed(seed)
        with self.engine.meeting(meet=meet and not pushes):
            with self.autocast(), pushes.watching(self.model) if pushes else nullcontext():
                loss = self.engine(batch, step)
            (loss * counts / tokens).backward()
        if pushes:
            torch.manual_seed(seed)  # the same words are hidden and drawn, so that the same calls come again
            with self.engine.meeting(meet=meet):
                with self.autocast(), pushes.pushing(self.model):
                    hurt = self.engine(batch, step)
                (hurt * counts / tokens).backward()
        return loss if batch.tokens else loss.detach() * 0.0

    def again(self, step: int, seed: int, batch: Batch) -> Tensor:
        """The loss that a batch had, by this process alone."""
        torch.manual_seed(seed)
        with self.autocast():
            return self.loss(batch, step)

    def autocast(self) -> torch.autocast:
        """bf16, where it is on."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)
