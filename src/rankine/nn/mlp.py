"""The multi-layer perceptron of click models: Linear, batch normalisation, activation, dropout, for each hidden layer.

Nothing is drawn from a random state that others share: what a layer drops follows from a seed drawn with its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, linear

from rankine.errors import ConfigError
from rankine.kernels.hidden import kept, key_of
from rankine.kernels.lookups import FEW
from rankine.kernels.perceptron import Layers, hidden_units
from rankine.nn.hidden import EPSILON, Hidden, NormedHidden, Precision, product

Activation = Literal["relu", "tanh"]
MOMENTUM = 0.1  # of a batch in the running mean and variance
AT_A_TIME = 128  # rows scored at a time by one thread: what is between layers stays in the cache beside the weights


class Linear(nn.Module):
    """W x + b; Xavier-normal W [out, in], b 0."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_outputs, n_inputs))
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw W anew; b is 0."""
        nn.init.xavier_normal_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, out] of x [B, in]."""
        return linear(x, self.weight, self.bias)


class BatchNorm(nn.Module):
    """Each column to mean 0 and variance 1 over the batch, then scaled and shifted; outside training by running averages.

    A single row has no variance: it goes by the running averages in training too. Source: Ioffe and Szegedy 2015.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_columns))
        self.shift = nn.Parameter(torch.zeros(n_columns))
        self.register_buffer("mean", torch.zeros(n_columns))
        self.register_buffer("variance", torch.ones(n_columns))

    def initialise(self) -> None:
        """Back to scale 1, shift 0, mean 0 and variance 1."""
        for tensor, value in ((self.scale, 1.0), (self.shift, 0.0), (self.mean, 0.0), (self.variance, 1.0)):
            nn.init.constant_(tensor, value)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape [B, C]."""
        batch = self.training and len(x) > 1
        return batch_norm(x, self.mean, self.variance, self.scale, self.shift, batch, MOMENTUM, EPSILON)

    @property
    def slope(self) -> Tensor:
        """What a column is multiplied by outside training [C]."""
        return self.scale * torch.rsqrt(self.variance + EPSILON)

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor, n_rows: int) -> None:
        """Move the running averages towards those of a batch, its variance over n."""
        self.mean.lerp_(mean, MOMENTUM)
        self.variance.lerp_(variance * (n_rows / (n_rows - 1)), MOMENTUM)


class Layer(nn.Module):
    """One hidden layer: Linear, batch normalisation where asked, activation, dropout.

    precision: of the matrix products in training; scores are float32 always.
    """

    precision: Precision = "fp32"

    def __init__(self, n_inputs: int, n_outputs: int, batch_norm: bool, dropout: float, activation: Activation) -> None:
        super().__init__()
        self.linear = Linear(n_inputs, n_outputs)
        self.norm = BatchNorm(n_outputs) if batch_norm else None
        self.dropout, self.activation = dropout, activation
        self.seed = self.n_draws = 0

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights anew, and the seed of the dropout: equal generators give equal trainings."""
        self.linear.initialise(generator)
        if self.norm is not None:
            self.norm.initialise()
        self.seed, self.n_draws = int(torch.randint(2**62, (), generator=generator)), 0

    def forward(self, x: Tensor) -> Tensor:
        """[B, out] of x [B, in]."""
        if not self.training:
            return self._activated(self.linear(x))
        key = key_of(self.seed, self.n_draws)
        self.n_draws += 1
        if self.activation == "relu" and x.dtype == torch.float32 and x.device.type == "cpu" and len(x) > 1:
            return self._at_once(x, key)
        h = self._activated(product(x, self.linear.weight.t(), self.precision) + self.linear.bias)
        if not self.dropout:
            return h
        return h * torch.from_numpy(kept(len(h), h.shape[1], key, self.dropout)).to(h) / (1 - self.dropout)

    def folded(self) -> tuple[Tensor, Tensor]:
        """W [in, out] and b [out] with the normalisation outside training in them; products with one row go down its columns."""
        weight, bias, norm = self.linear.weight, self.linear.bias, self.norm
        if norm is None:
            return weight.t().contiguous(), bias.clone()
        return (weight * norm.slope.unsqueeze(1)).t().contiguous(), (bias - norm.mean) * norm.slope + norm.shift

    def _activated(self, z: Tensor) -> Tensor:
        z = z if self.norm is None else self.norm(z)
        return torch.relu(z) if self.activation == "relu" else torch.tanh(z)

    def _at_once(self, x: Tensor, key: int) -> Tensor:
        """The same in training, quicker."""
        weight, norm = self.linear.weight, self.norm
        if norm is None:
            return Hidden.of(x, weight, self.linear.bias, self.dropout, key, self.precision)
        h, mean, variance = NormedHidden.of(x, weight, norm.scale, norm.shift, self.dropout, key, self.precision)
        norm.follow(mean + self.linear.bias.detach(), variance, len(x))
        return h


class MLP(nn.Module):
    """Hidden layers of `hidden_dims` units on `n_inputs` numbers, and a linear one to a single number unless `out` is None."""

    def __init__(
        self,
        n_inputs: int,
        hidden_dims: Sequence[int],
        *,
        batch_norm: bool = False,
        dropout: float = 0.0,
        activation: Activation = "relu",
        out: Literal[1] | None = 1,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"`dropout` must be at least 0 and below 1; got {dropout!r}")
        dims = [n_inputs, *hidden_dims]
        self.n_outputs = dims[-1] if out is None else 1
        self.hidden = nn.ModuleList(Layer(i, o, batch_norm, dropout, activation) for i, o in pairwise(dims))
        self.last = None if out is None else Linear(dims[-1], 1)
        self._folded: _Folded | None = None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights and the seeds of the dropout anew."""
        for layer in self.hidden:
            cast(Layer, layer).initialise(generator)
        if self.last is not None:
            self.last.initialise(generator)

    def train(self, mode: bool = True) -> Self:
        """In or out of training."""
        self._folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """One number per row [B], or the last hidden layer [B, hidden_dims[-1]] where `out` is None, of x [B, n_inputs]."""
        if self.training or torch.is_grad_enabled():
            for layer in self.hidden:
                x = layer(x)
            return x if self.last is None else self.last(x).squeeze(1)
        folded = self._ready()
        if len(x) <= FEW and x.dtype == torch.float32 and not x.is_cuda and folded.layers:
            return folded.number(torch.from_numpy(hidden_units(x.numpy(), folded.packed)))
        return _in_parts(folded.units, x)

    def behind(self, before: Tensor, x: Tensor) -> Tensor:
        """The same outside training, of rows that begin alike: with inputs `before` [1, A], behind which come x [B, n_inputs - A]."""
        folded, n = self._ready(), before.shape[1]
        weight, bias, activate = folded.layers[0]
        alike = torch.addmm(bias, before, weight[:n])[0]
        return _in_parts(lambda part: folded.units(activate(torch.addmm(alike, part, weight[n:])), 1), x)

    def _ready(self) -> _Folded:
        """Folded layers, made again when what they are made of was loaded since; training, which may change it unseen, drops them."""
        if self._folded is None or self._folded.stale:
            self._folded = _Folded([cast(Layer, layer) for layer in self.hidden], self.last)
        return self._folded


class _Folded:
    """Layers ready for scores, and what tells whether their tensors are still as they were."""

    def __init__(self, hidden: list[Layer], last: Linear | None) -> None:
        parts = [*hidden, *(() if last is None else (last,))]
        self.made_of = [tensor for part in parts for tensor in (*part.parameters(), *part.buffers())]
        self.states = self._now()
        in_place = {"relu": torch.relu_, "tanh": torch.tanh_}
        self.layers = [(*layer.folded(), in_place[layer.activation]) for layer in hidden]
        self.last = None if last is None else (last.weight.detach()[0], last.bias.detach())

    def units(self, x: Tensor, first: int = 0) -> Tensor:
        """What the layers from `first` on make of their inputs x, in place where they can."""
        for weight, bias, activate in self.layers[first:]:
            x = activate(torch.addmm(bias, x, weight))
        return self.number(x)

    def number(self, h: Tensor) -> Tensor:
        """One number per row of the last hidden units, or these themselves where there is no last layer."""
        return h if self.last is None else torch.mv(h, self.last[0]).add_(self.last[1])

    @cached_property
    def packed(self) -> Layers:
        """The hidden layers for a few rows at a time."""
        arrays = [(weight.detach().numpy(), bias.detach().numpy()) for weight, bias, _ in self.layers]
        return Layers.of(arrays, tanh=self.layers[0][2] is torch.tanh_)

    @property
    def stale(self) -> bool:
        return self.states != self._now()

    def _now(self) -> list[int]:
        return [state for tensor in self.made_of for state in (tensor.data_ptr(), tensor._version)]


def _in_parts(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`run` on equally large parts of the rows, small enough for the cache."""
    n_parts = -(-len(x) // (AT_A_TIME * torch.get_num_threads()))
    if n_parts <= 1:
        return run(x)
    return torch.cat([run(part) for part in torch.split(x, -(-len(x) // n_parts))])
