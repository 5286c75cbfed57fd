"""The [train] and [save] tables."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast0, AtLeast1, Dropout, NotNegative, Positive, config


@config
class TrainConfig:
    """The training loop."""

    steps: AtLeast1 = 10_000
    """Updates in all; there are no epochs."""
    minutes: NotNegative = 0.0
    """Stop (and evaluate, and save) after so many minutes of training; 0: no limit. Schedules still run over `steps`."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` updates the matrices of the layers by Muon and the rest (embeddings, output, norms, biases) by AdamW, at one
    learning rate."""
    lr: Positive = 1e-3
    """Peak learning rate."""
    warmup: AtLeast0 = 400
    """Steps over which the learning rate rises to its peak."""
    schedule: Literal["inverse-sqrt", "cosine", "linear", "constant"] = "inverse-sqrt"
    """After the linear warm-up. Cosine and linear end at `lr * final` at the last step."""
    final: NotNegative = 0.0
    """Where cosine and linear end, as a share of the peak."""
    accumulate: AtLeast1 = 1
    """Batches per update; every target token weighs the same however they fall."""
    label_smoothing: Dropout = 0.1
    """Share of the probability that is asked for on all possible tokens alike."""
    clip: NotNegative = 1.0
    """Largest gradient norm; 0 does not clip."""
    weight_decay: NotNegative = 0.01
    """On matrices only."""
    beta1: Dropout = 0.9
    """AdamW's decay of the mean of gradients."""
    beta2: Dropout = 0.98
    """AdamW's decay of the mean of their squares."""
    average: Literal["none", "ema", "last"] = "ema"
    """What is evaluated and saved as best: the raw weights, an exponential moving average of them, or the mean of those at the
    last `average_last` evaluations."""
    ema: Dropout = 0.999
    """Decay of the moving average; it warms up as (1 + step) / (10 + step)."""
    average_last: AtLeast1 = 5
    """`average = "last"`: so many evaluations."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of matrix products in training; `auto` is bf16 on a GPU or a CPU with AMX, else fp32. Weights stay fp32."""
    evaluate_every: AtLeast1 = 500
    """Steps between evaluations on dev, by real decoding."""
    evaluate_records: AtLeast0 = 500
    """So many dev records (the first by hashed key) during training; 0: all."""
    final_records: AtLeast0 = 0
    """So many dev records (the first by hashed key) for the scores at the end; 0: all."""
    patience: AtLeast0 = 0
    """Stop after so many evaluations without a better first metric; 0 never stops early."""
    log_every: AtLeast1 = 50
    """Steps between lines of log.jsonl."""
    device: str = "auto"
    """`auto`: a GPU if there is one, else the CPU."""
    threads: AtLeast0 = 0
    """CPU threads; 0: all. Results are bit-identical only for an equal number, so it is recorded and checked."""
    tensorboard: bool = False
    """Write event files to RUN/tensorboard as well."""
    report: bool = True
    """Write RUN/report.html when training ends: what is known by then, in a moment. `report RUN` measures the rest."""


@config
class SaveConfig:
    """When and how checkpoints are written."""

    every: AtLeast1 = 500
    """Steps between saves of `checkpoints/last`; evaluations and the end save too."""
    shard_mib: AtLeast0 = 0
    """Split weight files larger than this; 0 never splits."""
