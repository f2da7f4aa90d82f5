"""Losses of ranking models: scores of taken items [B] and of their negatives [B, S] to one loss per row, float [B].

All are written with softplus or sigmoid of a difference, so that no score, however large, gives NaN or infinity.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def squared(predicted: Tensor, value: Tensor) -> Tensor:
    """1/2 (value - predicted)^2 [B]."""
    return 0.5 * (value - predicted).square()


def logistic(positive: Tensor, negative: Tensor, weight: float = 1.0) -> Tensor:
    """-log sigmoid(s_i) - `weight` sum_j log sigmoid(-s_j): a taken item against negatives, each classified alone."""
    return softplus(-positive) + weight * softplus(negative).sum(1)


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean over the negatives of -log sigmoid(s_i - s_j). Source: Rendle et al. 2009."""
    return softplus(negative - positive.unsqueeze(1)).mean(1)


def bpr_sigmoid(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean over the negatives of 1 - sigmoid(s_i - s_j): between 0 and 1, flat for pairs that are far on the wrong side."""
    return torch.sigmoid(negative - positive.unsqueeze(1)).mean(1)


def warp(positive: Tensor, negative: Tensor, n_items: int) -> Tensor:
    """log(rank) max(0, 1 - s_i + s_j) for the first negative j within the margin; 0 where there is none.

    The rank is estimated from the tries it took, floor((n_items - 1) / tries).
    Source: Weston, Bengio, Usunier 2011, "WSABIE".
    """
    margin_BS = 1 - positive.unsqueeze(1) + negative
    violates_BS = margin_BS > 0
    first = violates_BS.int().argmax(1, keepdim=True)
    rank = torch.clamp((n_items - 1) // (first + 1), min=1).to(positive.dtype)
    return (rank.log() * torch.clamp(margin_BS.gather(1, first), min=0)).squeeze(1)


def all_pairs(positive: Tensor, user_BD: Tensor, share: Tensor, gram_DD: Tensor, unobserved_weight: float) -> Tensor:
    """(s_ui - 1)^2 + a0 share_u x_u' G x_u, G = Y'Y, a0 = `unobserved_weight`.

    Summed over the taken pairs of a user, with share_u one over their number, this is the squared error on all items:
    sum over taken (s - 1)^2 + a0 sum over all i of s_ui^2, without a look at the items not taken.
    """
    return (positive - 1).square() + unobserved_weight * share * ((user_BD @ gram_DD) * user_BD).sum(1)
