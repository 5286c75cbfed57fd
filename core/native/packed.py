"""Weights as linear.hpp wants them, and its structs."""

from __future__ import annotations

import ctypes
from typing import Literal

import torch
from torch import Tensor, nn

# O outputs, I inputs, P panels

PANEL, QUAD, LEVELS = 16, 4, 127
Precision = Literal["float32", "int8"]


class LinearMap(ctypes.Structure):
    """`Linear` there."""

    _fields_ = [
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("column_sum", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("int8", ctypes.c_int64),
    ]


class NormWeights(ctypes.Structure):
    """`Norm` there."""

    _fields_ = [("weight", ctypes.c_void_p), ("bias", ctypes.c_void_p)]


class LayerMaps(ctypes.Structure):
    """`Layer` there."""

    _fields_ = [
        *((name, LinearMap) for name in ("input", "seen", "query", "read", "inner", "output")),
        *((name, NormWeights) for name in ("before", "between", "last")),
    ]


class DecoderShape(ctypes.Structure):
    """`Decoder` there."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("layers", "width", "heads", "groups", "inner")),
        *((name, ctypes.c_int64) for name in ("rms", "pre", "activation", "rotary")),
        ("epsilon", ctypes.c_double),
        ("layer", ctypes.POINTER(LayerMaps)),
        ("final", NormWeights),
    ]


class QuantisedRows(ctypes.Structure):
    """`Quantised` there."""

    _fields_ = [("u", ctypes.c_void_p), ("scale", ctypes.c_void_p)]


class StepOf(ctypes.Structure):
    """`Step` there."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("batch", "beams", "said", "slots", "source", "slot")),
        *(
            (name, ctypes.c_void_p)
            for name in ("x", "cache", "ancestor", "memory", "lengths", "cosine", "sine", "scratch")
        ),
        ("most", ctypes.c_int64),
        ("quantised", QuantisedRows),
    ]


class ReadingOf(ctypes.Structure):
    """`Reading` there."""

    _fields_ = [
        ("batch", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("begin", "x", "cosine", "sine", "scratch")),
        *((name, ctypes.c_int64) for name in ("most", "group")),
        ("quantised", QuantisedRows),
    ]


class Packer:
    """Packs, and keeps what was packed alive: structs hold addresses only."""

    def __init__(self, precision: Precision) -> None:
        self.precision: Precision = precision
        self.kept: list[Tensor] = []

    def linear(self, weight_OI: Tensor, bias_O: Tensor | None) -> LinearMap:
        """One map."""
        O, I = weight_OI.shape
        bias = None if bias_O is None else self.keep(bias_O.detach().float().contiguous())
        if self.precision == "float32":
            return LinearMap(self.keep(as_panels(weight_OI.detach())), None, None, bias, I, O, 0)
        quantised_OI, scale_O = quantised(weight_OI.detach())
        rows = -O % PANEL
        scale = self.keep(nn.functional.pad(scale_O, (0, rows)))
        column_sum = self.keep(nn.functional.pad(quantised_OI.sum(1, dtype=torch.int32), (0, rows)))
        return LinearMap(self.keep(as_quads(quantised_OI)), scale, column_sum, bias, I, O, 1)

    def norm(self, norm: nn.Module | None) -> NormWeights:
        """One norm; nothing where it is none."""
        if not isinstance(norm, (nn.LayerNorm, nn.RMSNorm)):
            return NormWeights(None, None)
        weight, bias = norm.weight, getattr(norm, "bias", None)
        found = (None if x is None else self.keep(x.detach().float().contiguous()) for x in (weight, bias))
        return NormWeights(*found)

    def keep(self, x: Tensor) -> int:
        """The address of a tensor that stays."""
        self.kept.append(x)
        return x.data_ptr()


def quantised(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """int8 weights and what one step of each output's is worth."""
    scale_O = weight_OI.float().abs().amax(1) / LEVELS
    rate_O1 = torch.where(scale_O > 0, 1 / scale_O, 0.0)[:, None]
    return (weight_OI.float() * rate_O1).round().clamp(-LEVELS, LEVELS).to(torch.int8), scale_O


def as_panels(weight_OI: Tensor) -> Tensor:
    """[P, I, 16]"""
    O, I = weight_OI.shape
    return nn.functional.pad(weight_OI.float(), (0, 0, 0, -O % PANEL)).view(-1, PANEL, I).transpose(1, 2).contiguous()


def as_quads(weight_OI: Tensor) -> Tensor:
    """[P, I / 4, 16, 4]"""
    O, I = weight_OI.shape
    padded = nn.functional.pad(weight_OI, (0, -I % QUAD, 0, -O % PANEL))
    return padded.view(-1, PANEL, padded.shape[1] // QUAD, QUAD).transpose(1, 2).contiguous()
