"""The one training loop: teacher forcing, every target token of the same weight, all that moves part of the state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.data.batch import Batch
from core.data.order import mixed
from core.data.stream import Cursor, TrainBatches
from core.decode.rules import Rule
from core.errors import Diverged
from core.model.seq2seq import Seq2Seq
from core.train.average import Average
from core.train.config import TrainConfig
from core.train.culprit import first_bad_module, guilty_rows, steep_rows
from core.train.finite import IN_A_ROW, LeftOut, NoNumber, Watch, said
from core.train.gradients import Gradients
from core.train.objective import Objective
from core.train.optimizer import make_optimizers
from core.train.parallel import Loss, checksum
from core.train.ranks import ALONE, Ranks, like, whole
from core.train.risk import Risk
from core.train.schedule import learning_rate
from core.train.steps import Outcome, StepStats, Tally


class Good(Protocol):
    """Weights to go back to, with their average and moments, from the last multiple of `save.every`."""

    def keep(self, trainer: Trainer) -> None:
        """Those of now."""
        ...

    def back(self, trainer: Trainer) -> int:
        """Put them back; the step that they are of."""
        ...


class Trainer:
    """`fit` goes on from wherever `restore` left off; the next step is the one that an unbroken run would take."""

    def __init__(
        self,
        model: Seq2Seq,
        batches: TrainBatches,
        cfg: TrainConfig,
        *,
        seed: int,
        device: torch.device,
        rule: Rule | None = None,
        teacher: Seq2Seq | None = None,
        risk: Risk | None = None,
        name: Callable[[int], str] = str,
        ranks: Ranks = ALONE,
    ) -> None:
        """`name` says which training record a row is, for people."""
        self.name, self.ranks = name, ranks
        self.model, self.batches, self.cfg, self.seed, self.device = model, batches, cfg, seed, device
        self.objective = Objective(model, cfg, rule=rule, teacher=teacher, risk=risk)
        self.precision = choose_precision(cfg.precision, device)
        loss: Loss = lambda batch, step: self.objective(batch, step)  # noqa: E731
        self.gradients = Gradients(model, loss, cfg, self.key, device=device, precision=self.precision, ranks=ranks)
        self.optimizers = make_optimizers(model, cfg)
        self.average = Average(model, cfg.average, decay=cfg.ema, last=cfg.average_last)
        self.step, self.cursor, self.seconds = 0, Cursor(), 0.0
        self.best: float | None = None
        self.best_step, self.worse = 0, 0
        self.evaluated, self.saved, self.again, self.kept_good = 0, 0, 0, -1
        self.tally = Tally(torch.zeros((), device=device))
        self.norm = torch.zeros((), device=device)
        self.watch = Watch(device, at_once=cfg.nonfinite != "raise")
        self.in_a_row, self.left_out = 0, list[LeftOut]()
        self.good: Good | None = None
        """Where `train.nonfinite = "rollback"` keeps and finds weights."""
        self.spent = 0.0

    def fit(
        self,
        *,
        log: Callable[[StepStats], None],
        evaluate: Callable[[Trainer], float | None],
        save: Callable[[Trainer], bool | None],
        save_every: int,
        stop: Callable[[], int | None],
        warn: Callable[[LeftOut], None] = lambda one: None,
    ) -> Outcome:
        """Until the steps, the minutes or the patience are used up, or a signal asks to stop.

        `evaluate` returns the score (higher is better), or None where a signal broke it off: a resumed run repeats it.
        It may `note` the score itself, so that what it saves knows of it. `save` returns False where it could not: it is asked
        again a tenth of `save_every` later.
        """

        def keep() -> None:
            self.settle()
            self.ranks.at(f"save at step {self.step:,}")
            if self.ranks.world > 1 and not self.gradients.engine.sharded:
                self.ranks.alike(f"step {self.step:,}", {"the weights' checksum": checksum(self.model)})
            if not self.ranks.all_say(save(self) is not False):
                self.again = self.step + max(save_every // 10, 1)
            else:
                self.saved = self.step

        with closing(self.batches.batches(self.cursor)) as stream, self.ranks.working():
            while True:
                signal: int | None = None
                self.ranks.at(f"step {self.step + 1:,}")
                if self.ranks.world > 1:
                    self.seconds, signal = self.ranks.together(self.step, self.cursor, self.seconds, stop())
                over = self.over()
                if self.step and self.evaluated < self.step and (over or self.step % self.cfg.evaluate_every == 0):
                    self.settle()
                    self.average.snapshot()
                    self.ranks.at(f"evaluation at step {self.step:,}")
                    score = evaluate(self)
                    if score is None:
                        if self.average.snapshots:  # any that it displaced will be displaced again
                            del self.average.snapshots[-1]
                        keep()
                        return Outcome("stopped", self.ranks.signalled(stop()))
                    self.note(score)
                    keep()
                    over = self.over()
                elif self.step and self.saved < self.step and (self.step % save_every == 0 or self.step == self.again):
                    keep()
                if self.good is not None and self.step % save_every == 0 and self.kept_good != self.step:
                    self.good.keep(
                        self
                    )  # after the save: a resume must never find one that is younger than its own step
                    self.kept_good = self.step
                if self.ranks.world == 1:
                    signal = stop()
                if signal is not None:
                    if self.saved < self.step or not self.step:
                        keep()
                    return Outcome("stopped", signal)
                if over:
                    return Outcome(over)
                with self.clocked(), self.ranks.exchanging():
                    micro: list[Batch] = []
                    for _ in range(self.cfg.accumulate):
                        self.cursor, batch = next(stream)
                        micro.append(batch)
                    self.train_step(micro)
                if self.left_out and self.left_out[-1].step == self.step:
                    warn(self.left_out[-1])
                if self.step % self.cfg.log_every == 0 or self.over():
                    self.settle()
                    log(self.stats())

    @contextmanager
    def clocked(self) -> Generator[None, None, None]:
        """What happens inside counts as training time."""
        begun = time.perf_counter()
        yield
        took = time.perf_counter() - begun
        self.seconds += took
        self.spent += took

    def settle(self) -> None:
        """Wait for the device, and let nothing be said, scored or saved of weights that are no numbers."""
        with self.clocked():
            try:
                self.watch.look()
            except NoNumber as found:
                raise Diverged(said(found, [self.name(row) for row in found.rows], "")) from None

    def over(self) -> str:
        """Why there is nothing left to do; empty while there is."""
        if self.step >= self.cfg.steps:
            return f"all {self.cfg.steps:,} steps"
        if self.cfg.minutes and self.ranks.greatest(self.seconds) >= 60 * self.cfg.minutes:
            return f"{self.cfg.minutes:g} minutes"
        if self.cfg.patience and self.worse >= self.cfg.patience:
            return f"no better for {self.worse} evaluations"
        return ""

    def note(self, score: float) -> None:
        """An evaluation's outcome. As good as before, and trained for longer, is taken for better, but uses up patience."""
        if self.evaluated == self.step:
            return
        self.evaluated = self.step
        better = not math.isnan(score) and (self.best is None or score > self.best)
        self.worse = 0 if better else self.worse + 1
        if self.is_best(score):
            self.best, self.best_step = score, self.step

    def is_best(self, score: float) -> bool:
        """Whether weights of this score become the best checkpoint."""
        return not math.isnan(score) and (self.best is None or score >= self.best)

    def train_step(self, micro: Sequence[Batch]) -> None:
        """One update; none where the loss or the gradient is no number and `train.nonfinite` goes on all the same."""
        self.model.train()
        tokens = round(self.ranks.total(sum(batch.tokens for batch in micro))[0])
        total = self.gradients.of(micro, self.step, tokens)
        self.norm = whole(nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.clip or math.inf))
        rows = [row for batch in micro for row in batch.index]
        try:
            self.watch.note(self.step + 1, loss=self.ranks.summed(total) / tokens, norm=self.norm, rows=rows)
        except NoNumber as found:
            if found.step <= self.step:  # found late, where looking waits for the device
                raise Diverged(said(found, [self.name(row) for row in found.rows], "")) from None
            self.leave_out(found, micro)
            return
        self.in_a_row = 0
        self.tally.loss += total
        for batch in micro:  # of the host's copy: no waiting
            self.tally.tokens += batch.tokens
            self.tally.places += batch.source.shape[0] * (batch.source.shape[1] + batch.wanted_BT.shape[1])
            if batch.tokens:  # one that does not count is pads
                self.tally.symbols += int(batch.layout.mask_BS.sum()) + batch.tokens
        self.step += 1
        rate = self.rate()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.average.update(self.step)
        self.ranks.moved()

    def key(self, number: int) -> int:
        """Of all that is drawn for a micro-batch of the next step."""
        return mixed(self.seed, 4, self.step, number, self.ranks.rank)

    def rehearse(self) -> int:
        """The largest batches that can come, so that memory shows before anything is learned; their places."""
        self.model.train()
        return max(self.gradients.rehearse(one, self.step) for one in self.batches.largest())

    def leave_out(self, found: NoNumber, micro: Sequence[Batch]) -> None:
        """Raise Diverged, or go on without this update: which records it would have learned from is part of the state."""
        pieces = self.gradients.pieces([batch.to(self.device) for batch in micro])
        where, guilty = "", list[int]()
        if not self.gradients.engine.sharded:  # there nobody can read anything alone
            again = partial(self.gradients.again, self.step)
            where = first_bad_module(self.model, [partial(again, seed, batch) for seed, batch in pieces])
            with torch.no_grad():
                guilty = [row for seed, one in pieces for row in guilty_rows(one, partial(again, seed))]
            if not guilty:
                guilty = [row for seed, one in pieces for row in steep_rows(self.model, one, partial(again, seed))]
        said_by = self.ranks.told([where, [self.name(row) for row in guilty], [self.name(row) for row in found.rows]])
        where = next((one for one, *_ in said_by if one), "")
        records = [name for _, own, _ in said_by for name in own] or [name for *_, own in said_by for name in own]
        self.in_a_row += 1
        if self.cfg.nonfinite == "raise" or self.in_a_row >= IN_A_ROW:
            again_and_again = f" ({IN_A_ROW} such steps in a row)" if self.in_a_row >= IN_A_ROW else ""
            raise Diverged(said(found, records, where) + again_and_again)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        back_to = self.good.back(self) if self.cfg.nonfinite == "rollback" and self.good is not None else None
        self.step += 1
        self.norm = torch.zeros_like(self.norm)  # of no gradient: a log line may come before the next
        self.left_out.append(LeftOut(self.step, tuple(records), where, back_to))

    def rate(self) -> float:
        """The learning rate of the current step."""
        cfg = self.cfg
        return learning_rate(
            self.step, peak=cfg.lr, warmup=cfg.warmup, steps=cfg.steps, kind=cfg.schedule, final=cfg.final
        )

    def stats(self) -> StepStats:
        """Read the sums (this waits for the device) and begin new ones."""
        tally, spent = self.tally, max(self.spent, 1e-9)
        total, tokens, places, symbols = self.ranks.total(float(tally.loss), tally.tokens, tally.places, tally.symbols)
        loss = total / max(tokens, 1)
        left = (self.cfg.steps - self.step) * self.seconds / max(self.step, 1)
        if self.cfg.minutes:
            left = min(left, 60 * self.cfg.minutes - self.seconds)
        found = StepStats(
            self.step,
            self.cursor.epoch,
            loss,
            self.rate(),
            float(self.norm),
            tokens / spent,
            1 - symbols / max(places, 1),
            max(left, 0.0),
        )
        self.tally, self.spent = Tally(torch.zeros((), device=self.device)), 0.0
        return found

    def averaged(self) -> AbstractContextManager[None]:
        """The averaged weights are in the model inside."""
        return self.average.swapped_in()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, plain facts): what `restore` needs besides the weights. Write or copy them before the next step."""
        tensors = self.average.state()
        for number, optimizer in enumerate(self.optimizers):
            held = optimizer.state_dict()["state"]
            for index, values in held.items():
                for name, value in values.items():
                    tensors[f"optimizer.{number}.{index:05d}.{name}"] = whole(torch.as_tensor(value))
        loss, counts = self.tally.loss, [self.tally.tokens, self.tally.places, self.tally.symbols]
        if self.ranks.world > 1:  # the sums of all, which whoever goes on gives to its first process
            total, *sums = self.ranks.total(float(loss), *counts)
            loss, counts = torch.full_like(loss, total), [round(one) for one in sums]
        tensors["tally.loss"] = loss
        facts = {
            "step": self.step,
            "cursor": list(self.cursor),
            "seconds": self.seconds,
            "spent": self.spent,
            "best": self.best,
            "best_step": self.best_step,
            "worse": self.worse,
            "evaluated": self.evaluated,
            "tally": counts,
            "in_a_row": self.in_a_row,
            "room": self.gradients.room.most,
            "left_out": [asdict(one) for one in self.left_out],
        }
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """The inverse of `state`; the weights are the caller's to put back."""
        self.relearn(tensors)
        self.step, self.cursor, self.seconds = facts["step"], Cursor(*facts["cursor"]), facts["seconds"]
        self.best, self.best_step, self.worse = facts["best"], facts["best_step"], facts["worse"]
        self.evaluated, self.saved = facts["evaluated"], facts["step"]
        self.tally = Tally(torch.zeros((), device=self.device))
        if self.ranks.first:
            self.tally = Tally(tensors["tally.loss"].to(self.device, copy=True), *facts["tally"])
        self.spent = facts["spent"]
        self.in_a_row, self.gradients.room.most = facts.get("in_a_row", 0), facts.get("room", 0)
        self.left_out = [
            LeftOut(one["step"], tuple(one["records"]), one["where"], one["back_to"])
            for one in facts.get("left_out", ())
        ]

    def relearn(self, tensors: dict[str, Tensor]) -> None:
        """The part of it that belongs to the weights: their average and the optimizers' moments."""
        self.average.restore(tensors)
        for number, optimizer in enumerate(self.optimizers):
            tree = optimizer.state_dict()
            parameters = [one for group in optimizer.param_groups for one in group["params"]]
            prefix = f"optimizer.{number}."
            held: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(prefix):
                    index, key = name.removeprefix(prefix).split(".", 1)
                    pattern = parameters[int(index)]
                    part = like(value, pattern) if value.shape == pattern.shape else value
                    held.setdefault(int(index), {})[key] = part.clone()
            tree["state"] = held
            optimizer.load_state_dict(tree)


def choose_precision(asked: str, device: torch.device) -> str:
    """bf16 where the hardware has it: elsewhere it is emulated, a hundred times slower."""
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"  # pyright: ignore[reportPrivateUsage]
