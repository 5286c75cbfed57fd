"""Sequences in, sequences out: encoder-decoders, one training loop, one search. Knows no domain."""
