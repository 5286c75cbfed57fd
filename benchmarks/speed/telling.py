"""What docs/speed.md says around its figures."""

from __future__ import annotations

HEAD = """# Speed

Written by `python -m benchmarks.speed page` from the files in `benchmarks/results/speed/`; do not edit it. How to search, and
what the answers are, stands in [decoding.md](decoding.md).

## The native step

`search.engine=native` takes each step of a Transformer's decoder in C++ (`core/native/`), which a compiler of the machine makes
for its processor when it is first asked for, in seconds; it needs no header but the language's own. All else, the search,
rules, heads of other kinds, ensembles, stays as it is.

* Weights are packed once, in panels of 16 outputs; queries, keys and values of a token come of one product; a sum with what was
  there before, and ReLU, are taken while an output is in registers.
* Keys and values of the source are projected once and kept once, whatever the beam. Those of the output are never reordered: a
  hypothesis knows the places of its ancestors, so that attention costs what it has said itself and not what all hypotheses
  have. What nobody descends from stays behind when a buffer is full.
* Log-probabilities are normalised in place, where the products were written, and the best continuations are found in one pass that
  skips blocks of words whose greatest is too small.
* Sources are read natively as well, their real symbols alone, where the encoder is a plain one (no window, no Conformer, no
  bias on scores).
* Sources are sorted and cut by tokens (`search.batch_tokens`), and finished ones leave the batch. With several threads there
  are as many batches at a time.
* Each row is summed in one order whatever its company, so a step's results are the same, bit for bit, alone and in any batch;
  those of torch's matrix products are not. Against torch they differ by rounding (`tests/core/test_native.py`).

Relative and ALiBi positions, adapters that are not merged, float64, GPUs, `search.coverage` and `search.draft` are left to
`engine = "torch"`, the default. Without a compiler, torch takes the steps, and a line says so.

## Eight bits

`search.precision=int8` has weights of eight bits with a scale for each output, and what they are multiplied by in seven bits
with a scale for each row, so that here too company cannot matter. Sums are whole numbers; attention, norms and the softmax stay
in float32. It has to be earned:

```text
python -m tasks.NAME.evaluate RUN --split dev search.engine=native search.precision=int8
```

answers the run's dev records in both precisions, says which share of the outputs is the same and how far each metric moves, and
writes `RUN/precision.json`. If one moves by more than 0.2 points, or none of this was done, or the weights are others, `int8`
is refused everywhere else. There is no bfloat16: it pays where a processor multiplies it in hardware (AMX, AVX-512), which none
of ours does.
"""

BESIDE = """## Beside the peers

`python -m benchmarks.speed decode --against hf,ctranslate2` decodes with a random model of Marian's shape, whose weights all
engines share: ours, Hugging Face's `generate` and CTranslate2, converted by its own TransformersConverter. Sources have
log-normal lengths (median 20, sigma 0.45), and every output of a batch is as long as its longest source, so that all do the
same work. Each engine is a process that waits for its turns, which go forth and back; ratios are of medians. Encoding is part
of the time, loading is not. With one thread the clock is the processor's, with two the wall's, and CTranslate2 has two workers
of one thread.
"""

RATIOS = """\
How many times as fast ours are; `goal` is what we set ourselves on a machine with AMX. Of float32 the share of outputs that are
the same, token by token, is next to 1; a random model in eight bits says other things, for nearly all of its choices are close.
"""

GROWTH = """## Growth

`python -m benchmarks.speed growth`: the cost of one search, five beams unless they grow, of sources with 20 symbols.
"""
