"""Where gradients meet: nowhere (one process), in DistributedDataParallel, or in fully sharded parameters (FSDP2).

Both of torch's engines take the mean over processes, while our losses are sums over the target tokens of *all* of them
divided by their number; so each process's loss is multiplied by the number of processes, and the gradient is that of one
process that had it all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from core.config import Impossible
from core.data.batch import Batch
from core.model.seq2seq import Seq2Seq
from core.nn.transformer import CrossAttention
from core.train.config import TrainConfig
from core.train.ranks import Ranks

Loss = Callable[[Batch, int], Tensor]
BUCKET = 25 * 2**18
"""Numbers that are exchanged at once."""


class Whole(nn.Module):
    """A model with its loss as one module: what the engines wrap is what is called."""

    def __init__(self, model: Seq2Seq, loss: Loss) -> None:
        super().__init__()
        self.model, self.objective = model, loss

    def forward(self, batch: Batch, step: int) -> Tensor:
        """The summed loss of this process's share."""
        return self.objective(batch, step)


class Engine:
    """Computes losses so that their gradients are of all processes together."""

    def __init__(self, model: Seq2Seq, loss: Loss, cfg: TrainConfig, ranks: Ranks) -> None:
        self.loss, self.weight, self.ranks, self.model = loss, float(ranks.world), ranks, model
        self.sharded = ranks.world > 1 and cfg.parallel == "fsdp"
        self.wrapped: DistributedDataParallel | Whole | None = None
        if self.sharded:
            self.wrapped = sharded(model, Whole(model, loss))
        elif ranks.world > 1:
            sides = (model.encoder, model.decoder)
            dropped = any(getattr(one, "drop", 0.0) for one in sides)  # other layers in each batch
            self.wrapped = DistributedDataParallel(Whole(model, loss), find_unused_parameters=dropped)
        on_gpu = any(one.is_cuda for one in model.parameters())
        self.careful = not self.sharded and not (ranks.world > 1 and on_gpu)
        """Whether gradients are exchanged when all processes have theirs, so that one that ran out of memory can begin anew. On
        GPUs they are exchanged while they are being computed; on CPUs that gains nothing: the cores are needed for both."""

    def __call__(self, batch: Batch, step: int) -> Tensor:
        """The summed loss of this process's share."""
        if self.careful or self.wrapped is None:
            return self.loss(batch, step)
        return self.wrapped(batch, step)

    @torch.no_grad()
    def exchange(self) -> None:
        """Of careful processes: each gradient becomes the mean over all, in buckets."""
        if self.ranks.world == 1 or not self.careful:
            return
        parameters = [one for one in self.model.parameters() if one.requires_grad]
        has = self.ranks.summed(torch.tensor([one.grad is not None for one in parameters], dtype=torch.float32))
        bucket: list[Tensor] = []
        for one, somewhere in zip(parameters, has.tolist(), strict=True):
            if not somewhere:  # a layer that every process dropped
                continue
            if one.grad is None:
                one.grad = torch.zeros_like(one)
            if bucket and (one.dtype != bucket[0].dtype or sum(x.numel() for x in bucket) + one.numel() > BUCKET):
                self.mean(bucket)
                bucket = []
            bucket.append(one.grad)
        self.mean(bucket)

    def mean(self, gradients: list[Tensor]) -> None:
        """In place, over all processes."""
        if not gradients:
            return
        flat = self.ranks.summed(torch.cat([one.reshape(-1) for one in gradients])) / self.weight
        for one, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
            one.copy_(part.view_as(one))

    @contextmanager
    def meeting(self, *, meet: bool) -> Generator[None, None, None]:
        """Inside, gradients stay with this process, or after the backward pass are those of all."""
        if self.sharded:
            cast(Any, self.wrapped).set_requires_gradient_sync(meet)
        apart = not meet and not self.careful and isinstance(self.wrapped, DistributedDataParallel)
        with cast(Any, self.wrapped).no_sync() if apart else nullcontext():
            yield


def sharded(model: Seq2Seq, whole: Whole) -> Whole:
    """Each block's parameters are gathered when it is its turn, all others when the loss is called.

    The keys and values of the memory are made before the block they belong to is called, so cross-attentions are units of their own.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    parts = {name: getattr(one, "parts", 1) for name, one in model.named_parameters()}
    for module in list(model.modules()):
        if isinstance(module, CrossAttention):
            fully_shard(module)
            register_fsdp_forward_method(module, "project")
    for side in (model.encoder, model.decoder):
        blocks = getattr(side, "blocks", ())
        for block in blocks:
            fully_shard(block)
    fully_shard(whole)
    for name, one in model.named_parameters():  # which are others now
        setattr(one, "parts", parts[name])  # noqa: B010
    return whole


def checksum(model: nn.Module) -> str:
    """Of all bits of the parameters."""
    whole_numbers = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}
    with torch.no_grad():
        sums = [one.view(whole_numbers[one.element_size()]).sum(dtype=torch.int64) for one in model.parameters()]
        weights = torch.arange(1, len(sums) + 1, device=sums[0].device)
        return f"{int((torch.stack(sums) * (2 * weights + 1)).sum()) & (1 << 64) - 1:016x}"


def refuse(cfg: TrainConfig, model_layer_drop: float) -> None:
    """What cannot be sharded, before anything is built."""
    if cfg.parallel != "fsdp":
        return
    if model_layer_drop:
        raise Impossible(
            "model.layer_drop", 'with train.parallel = "fsdp" all processes must call the same layers: use "ddp" or 0'
        )
    if cfg.optimizer == "adafactor":
        raise Impossible(
            "train.optimizer", 'adafactor needs whole matrices, which train.parallel = "fsdp" cuts: use "ddp"'
        )
    if cfg.adversarial or cfg.risk or cfg.teacher:
        key = "adversarial" if cfg.adversarial else "risk" if cfg.risk else "teacher"
        raise Impossible(
            f"train.{key}", 'it reads the model in ways that train.parallel = "fsdp" does not allow: use "ddp"'
        )
