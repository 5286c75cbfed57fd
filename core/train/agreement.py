"""Two distributions over the next word, asked to be alike: R-Drop's divergence, and a teacher's cross-entropy.

R-Drop (Liang et al., 2021): a batch is read twice under different dropout, and half the sum of KL(p || q) and KL(q || p) joins
the loss. Distillation by words (Hinton et al., 2015; Kim & Rush, 2016): -sum of t(w) log p(w), with both softened by a
temperature and the sum scaled by its square. Both are summed over the words that are wanted, and over legal words only where a
rule is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.codec.types import PAD

# B batch, T target, V vocabulary (and copied words)


def divergence(one_BTV: Tensor, other_BTV: Tensor, wanted_BT: Tensor) -> Tensor:
    """Half the sum of both divergences of two log-probabilities that rule out the same words."""
    possible_BTV = one_BTV.isfinite() & other_BTV.isfinite()
    one, other = one_BTV.masked_fill(~possible_BTV, 0), other_BTV.masked_fill(~possible_BTV, 0)
    terms_BTV = ((one.exp() - other.exp()) * (one - other)).masked_fill(~possible_BTV, 0)
    return 0.5 * terms_BTV.sum(-1).masked_fill(wanted_BT == PAD, 0).sum()


def taught(logp_BTV: Tensor, teacher_BTV: Tensor, wanted_BT: Tensor, temperature: float) -> Tensor:
    """The cross-entropy of the model against the teacher, who gets no gradient."""
    possible_BTV = logp_BTV.isfinite() & teacher_BTV.isfinite()
    own_BTV = softened(logp_BTV, possible_BTV, temperature)
    wish_BTV = softened(teacher_BTV.detach(), possible_BTV, temperature).exp()
    terms_BTV = (wish_BTV * own_BTV.masked_fill(~possible_BTV, 0)).masked_fill(~possible_BTV, 0)
    return -(temperature**2) * terms_BTV.sum(-1).masked_fill(wanted_BT == PAD, 0).sum()


def softened(logp_BTV: Tensor, possible_BTV: Tensor, temperature: float) -> Tensor:
    """log-probabilities proportional to p^(1/temperature), among what is possible."""
    scaled_BTV = (logp_BTV / temperature).masked_fill(~possible_BTV, -torch.inf)
    return scaled_BTV.log_softmax(-1) if temperature != 1.0 or not bool(possible_BTV.all()) else logp_BTV


def among_legal(logp_BTV: Tensor, legal_BTV: Tensor | None) -> Tensor:
    """Renormalised over legal words; those beyond the last dimension of `legal_BTV`, copied ones, are not judged."""
    if legal_BTV is None:
        return logp_BTV
    beyond = logp_BTV.shape[-1] - legal_BTV.shape[-1]
    legal_BTV = torch.nn.functional.pad(legal_BTV, (0, beyond), value=True)
    return logp_BTV.masked_fill(~legal_BTV, -torch.inf).log_softmax(-1)
