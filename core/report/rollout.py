"""Attention through all layers at once: what a step has read of each place of the source, mixing included."""

from __future__ import annotations

import numpy as np

# L layers, H heads, T target, S source


def rollout(encoder_LHSS: np.ndarray, decoder_LHTT: np.ndarray, cross_LHTS: np.ndarray) -> np.ndarray:
    """[T, S], rows of sum 1: attention rollout (Abnar & Zuidema, 2020), which was defined for an encoder alone.

    Heads are averaged, and each layer is half its attention, half what went past it. A decoder layer first mixes what its
    prefix has read, then reads the encoder's rollout; what stays with the words of the prefix is left out at the end. Sides
    without self-attention (recurrent, convolutional) mix nothing here, so that for them it says less.
    """
    T, S = cross_LHTS.shape[2:]
    mixed_SS = np.eye(S)
    for layer_HSS in encoder_LHSS:
        mixed_SS = (0.5 * layer_HSS.mean(0) + 0.5 * np.eye(S)) @ mixed_SS
    read_TS = np.zeros((T, S))
    for layer, cross_HTS in enumerate(cross_LHTS):
        if layer < len(decoder_LHTT):
            read_TS = (0.5 * decoder_LHTT[layer].mean(0) + 0.5 * np.eye(T)) @ read_TS
        read_TS = 0.5 * read_TS + 0.5 * cross_HTS.mean(0) @ mixed_SS
    return shares(read_TS)


def shares(values_TS: np.ndarray) -> np.ndarray:
    """Each row put to one in sum; one of zeros stays."""
    sums_T1 = values_TS.sum(-1, keepdims=True)
    return values_TS / np.where(sums_T1 > 0, sums_T1, 1.0)
