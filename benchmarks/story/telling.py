"""What the page says that no figure decides: the ideas, in the order in which they came."""

from __future__ import annotations

HEAD = """# The story, told with one's own runs

Written by `python -m benchmarks.story` from the files in `benchmarks/results/story/`; do not edit it. Every figure
below comes from these files.

A sequence goes in, another comes out, and their lengths have nothing to do with each other. This page climbs the
ladder on which the field answered that, one idea a rung. Each rung is an ordinary run of this repository, the one
before it with a few keys changed, and all are trained on the same sentences in the same order.
"""

RUNGS = {
    "context-vector": """A recurrent network reads the source word by word and keeps what it has read in a state of
fixed size; the last state is the whole sentence. A second network, told of nothing else, writes the target from it:

```text
h_s = GRU(x_s, h_(s-1))          c = h_S
d_t = GRU([y_(t-1); c], d_(t-1)) p(y_t) = softmax(W d_t)
```

It works, and that was the surprise of 2014. But `c` is as wide for forty words as for two: whatever does not fit is
gone, and the gradient of a word at the source's beginning has to come back through every step of both networks.
""",
    "bidirectional": """Read the sentence from both ends, with half the width for each direction, and let both last
states make the context. Each word's state now knows what comes after it as well, and no word is far from an end. What
the decoder gets is still one vector of the same width: the bottleneck has two entrances and one exit.
""",
    "additive": """Keep all the encoder's states instead of the last, and let the decoder choose among them anew
before each word:

```text
e_ts = v . tanh(W d_(t-1) + U h_s)    a_t = softmax(e_t)    c_t = sum_s a_ts h_s
```

The context is now as long as the sentence, and a word of the source is one step from any word of the target, for the
signal and for its gradient. Nobody says which source word belongs to which target word; the weights `a` learn it,
because it helps.
""",
    "multi-head": """Compare by a scaled dot product in place of a small network, and do it several times side by side
in narrower spaces, so that one head may look for the word to be translated and another for where the sentence ends:

```text
head_i = softmax(Q_i K_i^T / sqrt(width / heads)) V_i    c_t = W [head_1; ...; head_n]
```

The decoder is still recurrent; only its look into the source has changed. This is the piece that the next rung is
built of.
""",
    "transformer": """If looking is how words find each other across languages, it can be how they find each other
within one. The recurrence goes: in every layer each word looks at all words of its own side (the decoder at those
before it), the decoder then at the source, and a small network follows each look. Where words stand is told by their
positions alone. Nothing waits for the step before, so a sentence is learned from in one go; the price is a cost that
grows with the square of the length (see [long sources](../benchmarks/long_sources.py)).
""",
    "copy": """Some words should not be translated but repeated: names, numbers, `{places}` to be filled in. A softmax
over the vocabulary has to spell them out as if it meant them; a pointer takes them from where they stand. The output
is a mixture of both, with a gate that is learned:

```text
p(w) = g p_vocabulary(w) + (1 - g) sum over s with x_s = w of a_s
```
""",
}

LENGTHS = """A vector of fixed width that has to hold a whole sentence should fail as sentences grow, and attention should
not fail in the same way: that is the picture by which Bahdanau et al. (2015) made their case. Here it is drawn from the
runs above; whether it shows the same is said below it. BLEU over the test sentences whose source has so many words:
"""

SHARE = """Long sentences are harder for everyone, and BLEU of sentences of three words is hardly the BLEU of those of thirty. So the same
length is compared with itself: how much of attention's BLEU does one vector keep? The encoder of both is the same but for
the first column, which is read one way only. BLEU of sentences of fewer than four words, which have no 4-gram, says little: so the
longest are compared with those of 4 to 7 words as well. (That column was added when the first run of this page had been scored.)
"""

BITS = """BLEU judges what a search found. What the models themselves believe is a finer measure: the bits that each word of the
reference costs, teacher-forced (`-log2 p(reference)` by its words; less is better):
"""

ATTENTION = """Rows are what is said (the reference, spelled to each model alike, so that the pictures compare),
columns what is read; the darker, the more of a row's weight. It is a sentence of dev that no one chose: the first of
middling length in the order of hashed keys. Weights show where a state was read
from, not why a word was said (Jain & Wallace, 2019); in a Transformer's layers, moreover, a state holds more than the word above it.
"""

KEPT = """Of the words that stand in a test sentence and in its reference alike, unchanged, the share that the model's
answer has too; and the same of those among them that no reference of the training data has, which a model can only
spell or copy:
"""

BLEU = """BLEU (Papineni et al., 2002) asks of an output: how many of its n-grams, n from 1 to 4, does the reference
have? Each n-gram counts at most as often as the reference has it (clipped), and

```text
BLEU = BP x exp(1/4 log p_1 + 1/4 log p_2 + 1/4 log p_3 + 1/4 log p_4)
p_n  = clipped matches of order n / n-grams of order n in the output
BP   = 1 if the output is longer than the reference, else exp(1 - reference length / output length)
```

The weights of 1/4 are the textbook's: the geometric mean of four precisions. BP stands in for recall, for without it
one sure word would be a perfect output.
"""

ZERO = """A geometric mean with a 0 in it is 0: one order without a match, and the textbook's sentence score is
nothing, however good the rest. For single sentences that is the rule rather than the exception, so sacreBLEU (Post,
2018) puts something small in place of each missing match: 1/2 for the first order without one, 1/4 for the next, and
so on (`smooth:exp`), and leaves out orders for which the output is too short (`eff:yes`).
"""

CORPUS = """BLEU was made for whole test sets: matches and n-grams are **added over all sentences first**, then
divided, once. So long sentences weigh more, a sentence without a matching 4-gram hurts no more than its share, and
smoothing hardly ever has anything to do. The mean of the sentences' scores is another number:
"""

AGAIN = """## Do it yourself

```text
python -m benchmarks.story                     # train what is missing, score it, write this page: within an hour on two cores
python -m benchmarks.story --jobs 1            # a rung at a time
python -m benchmarks.story --steps 100         # less: fewer steps, or --minutes 20 of one core for the six together
python -m benchmarks.story --write-only        # the page again, from the result files
```

It can be stopped at any moment and goes on where it was: each rung is a run folder under `runs/story/`, to be
evaluated, asked and reported on as any other. Whether all of it stands, on toy sentences and within a minute:

```console
# takes minutes
$ python -m benchmarks.story --smoke
$ python -m benchmarks.story --smoke --check
```
"""
