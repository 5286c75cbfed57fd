"""The [train] and [save] tables."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast0, AtLeast1, Dropout, Impossible, NotNegative, Positive, Share, config

Part = Literal["encoder", "decoder", "embeddings", "front", "output", "features", "ctc"]
"""What can be held fast: source and target embeddings together, the front of frames, the output layer with its matrix."""


@config
class TrainConfig:
    """The training loop."""

    steps: AtLeast1 = 10_000
    """Updates in all; there are no epochs."""
    minutes: NotNegative = 0.0
    """Stop (and evaluate, and save) after so many minutes of training; 0: no limit. Schedules still run over `steps`."""
    optimizer: Literal["adamw", "muon", "adafactor"] = "adamw"
    """`muon` updates the matrices of the layers by Muon and the rest (embeddings, output, norms, biases) by AdamW, at one
    learning rate. `adafactor` (Shazeer & Stern, 2018) keeps a row and a column of a matrix's squared gradients; its rate is
    relative to the size of the weights, so try 1e-2."""
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
    word_dropout: Dropout = 0.0
    """Share of the source's symbols that are read as unknown (Gal & Ghahramani, 2016); copying still knows them."""
    target_word_dropout: Dropout = 0.0
    """The same of the words that the decoder reads (Bowman et al., 2016)."""
    noise: tuple[str, ...] = ()
    """Perturbations of training sources, `NAME` or `NAME@STRENGTH` as for `evaluate --noise`, one of them drawn anew each epoch."""
    noise_share: Share = 0.5
    """Of the training records, so many are perturbed by `noise`."""
    synonyms: str = ""
    """A dictionary for sources that are text: a line is a word, a tab, and words with | between them that may stand in its place."""
    synonym_share: Share = 0.1
    """Of the words that `synonyms` knows, so many are replaced, drawn anew each epoch."""
    forcing: Literal["always", "constant", "linear", "exponential", "inverse-sigmoid"] = "always"
    """Scheduled sampling (Bengio et al., 2015): how the share of true words that the decoder reads goes from 1 to
    `forcing_floor`, the others being its own; `constant` has that share from the first step on. Recurrent decoders draw word by
    word, others read twice (Mihaylova & Martins, 2019)."""
    forcing_floor: Share = 0.5
    """Where it ends, at the last of `steps`."""
    r_drop: NotNegative = 0.0
    """Weight of the divergence between two readings under different dropout (Liang et al., 2021); costs a second reading."""
    adversarial: NotNegative = 0.0
    """Length of a push to each sentence's embeddings along the loss's gradient (Miyato et al., 2017), whose loss is learned as
    well; costs a second pass."""
    risk: Share = 0.0
    """Weight of the expected cost of what the model would say, by the first metric (Shen et al., 2016), the likelihood having the
    rest; costs a search and a pass over all that it finds, so begin from a trained run."""
    risk_samples: AtLeast1 = 4
    """Answers drawn for each source, to which the true one is added."""
    teacher: str = ""
    """A run folder whose model teaches this one word by word (Kim & Rush, 2016): same task, data and tokenizers."""
    teacher_weight: Share = 0.5
    """Of the teacher's words in the loss, the true ones' being the rest."""
    teacher_temperature: Positive = 1.0
    """Softens both distributions (Hinton et al., 2015)."""
    coverage: NotNegative = 0.0
    """Weight of the loss for looking at a place of the source again (See et al., 2017): of the attention that copies or points, or
    else of a recurrent decoder's."""
    clip: NotNegative = 1.0
    """Largest gradient norm; 0 does not clip."""
    nonfinite: Literal["raise", "skip", "rollback"] = "raise"
    """What to do at a loss or a gradient that is no number: end (exit code 4); leave the update out; or leave it out and take up the
    weights, averages and moments of the last multiple of `save.every` again. Steps and data go on either way, and log.jsonl names
    the step, the records and the first bad module; the third such step in a row ends the run."""
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
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under torchrun: every process has all weights (`ddp`), or a part of them and of the optimizer's state (`fsdp`).
    docs/scaling.md."""
    patience_seconds: Positive = 600.0
    """Under torchrun: a process that does not move for so long is named, and all end."""
    threads: AtLeast0 = 0
    """CPU threads; 0: all. Results are bit-identical only for an equal number, so it is recorded and checked."""
    tensorboard: bool = False
    """Write event files to RUN/tensorboard as well."""
    report: bool = True
    """Write RUN/report.html when training ends: what is known by then, in a moment. `report RUN` measures the rest."""
    init_from: str = ""
    """A run folder whose weights training begins from, of this task or another: what has the same name and shape is taken
    over, the rest begins anew and is named. Empty: all begins anew. docs/fine-tuning.md."""
    init_encoder: str = ""
    """A file of weights (safetensors) that an encoder of BERT's shape begins from, with `model.encoder = "bert"` and its sizes; where
    vocab.txt lies beside it words are found by their spelling, else by their number. docs/heads.md."""
    init_codecs: Literal["run", "data"] = "run"
    """With `init_from`: that run's tokenizers, or ones fitted to this run's data; then only symbols that both vocabularies have
    keep their embeddings."""
    lora: AtLeast0 = 0
    """With `init_from`: leave its weights as they are and train adapters of this rank on all linear layers of encoder and decoder
    (Hu et al., 2022), and what begins anew; 0: train the weights themselves."""
    lora_alpha: NotNegative = 0.0
    """Adapters count by `lora_alpha / lora`; 0: as they are."""
    freeze: tuple[Part, ...] = ()
    """Parts that training leaves as they are; a matrix that belongs to one of them, tied or not, does not move."""
    forgetting: bool = True
    """With `init_from`: score the old run's dev records (as many as `evaluate_records`) before and after training."""

    def __post_init__(self) -> None:
        if self.lora and not self.init_from:
            raise Impossible("lora", "adapters are for weights that a run has learned: name it with train.init_from")
        if self.init_from and self.init_encoder:
            raise Impossible("init_encoder", "the encoder of `init_from` has its weights already: use one of the two")


@config
class SaveConfig:
    """When and how checkpoints are written."""

    every: AtLeast1 = 500
    """Steps between saves of `checkpoints/last`; evaluations and the end save too."""
    shard_mib: AtLeast0 = 0
    """Split weight files larger than this; 0 never splits."""
