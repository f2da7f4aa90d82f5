from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rankine.errors import ConfigError
from rankine.kernels.hidden import kept, key_of
from rankine.nn.fields import FieldLinear
from rankine.nn.interactions import CrossNetwork
from rankine.nn.mlp import MLP
from rankine.nn.tables import Table

FORMS = [
    {},
    {"batch_norm": True},
    {"dropout": 0.4},
    {"batch_norm": True, "dropout": 0.4},
    {"activation": "tanh", "dropout": 0.4},
]
each_form = pytest.mark.parametrize("form", FORMS, ids=str)


def mlp(form: dict[str, Any], dims: tuple[int, ...] = (7, 5), seed: int = 3, **more: Any) -> MLP:
    made = MLP(6, dims, **form, **more)
    made.initialise(torch.Generator().manual_seed(seed))
    g = torch.Generator().manual_seed(9)
    for name, p in made.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 1 if "scale" in name else 0, 0.3, generator=g)
    return made


def rows(n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(n), dtype=torch.float64).to(dtype)


def slow(made: MLP, x: np.ndarray, training: bool) -> np.ndarray:
    """The formula, layer by layer, in float64."""
    value = {name: t.detach().double().numpy() for name, t in (*made.named_parameters(), *made.named_buffers())}
    for i, layer in enumerate(made.hidden):
        z = x @ value[f"hidden.{i}.linear.weight"].T + value[f"hidden.{i}.linear.bias"]
        if layer.norm is not None:
            mean, variance = value[f"hidden.{i}.norm.mean"], value[f"hidden.{i}.norm.variance"]
            if training and len(x) > 1:
                mean, variance = z.mean(0), z.var(0)
            z = (z - mean) / np.sqrt(variance + 1e-5) * value[f"hidden.{i}.norm.scale"] + value[
                f"hidden.{i}.norm.shift"
            ]
        x = np.maximum(z, 0) if layer.activation == "relu" else np.tanh(z)
        if training:
            x = x * kept(*x.shape, key_of(layer.seed, 0), layer.dropout) / (1 - layer.dropout)
    return x if made.last is None else (x @ value["last.weight"].T + value["last.bias"])[:, 0]


@each_form
@pytest.mark.parametrize("n", [0, 1, 2, 33])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("out", [1, None])
def test_an_mlp_is_its_formula(form: dict[str, Any], n: int, training: bool, out: Any) -> None:
    made = mlp(form, out=out).train(training)
    expected = slow(made, rows(n).double().numpy(), training)
    np.testing.assert_allclose(made(rows(n)).detach().numpy(), expected, atol=2e-5, rtol=1e-4)


@each_form
def test_gradients_agree_with_differences(form: dict[str, Any]) -> None:
    made = mlp(form).double()
    names = [name for name, _ in made.named_parameters()]

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        for layer in made.hidden:
            layer.n_draws = 0  # the same units dropped each time
        return torch.func.functional_call(made, dict(zip(names, values, strict=True)), (x,))

    values = [p.detach().clone().requires_grad_() for p in made.parameters()]
    assert torch.autograd.gradcheck(run, (rows(9, torch.float64).requires_grad_(), *values))


@each_form
@pytest.mark.parametrize("n", [2, 65])
def test_the_quick_way_in_float32_has_the_gradients_of_float64(form: dict[str, Any], n: int) -> None:
    quick, exact = mlp(form, (40, 30)), mlp(form, (40, 30)).double()
    x, y = rows(n).requires_grad_(), rows(n).double().requires_grad_()
    up = torch.rand(n, generator=torch.Generator().manual_seed(1))
    (quick(x) * up).sum().backward()
    (exact(y) * up).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.double(), y.grad, atol=2e-4, rtol=2e-3)
    for (name, p), q in zip(quick.named_parameters(), exact.parameters(), strict=True):
        found = torch.zeros_like(q) if p.grad is None else p.grad.double()
        torch.testing.assert_close(found, q.grad, atol=3e-4, rtol=2e-3, msg=lambda m, name=name: f"{name}: {m}")
    for a, b in zip(quick.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-4)


def test_gradients_that_repeat_one_number_are_read_right() -> None:
    made = mlp({}, out=None)
    made(rows(4)).sum().backward()  # hands on a gradient of stride 0
    one = made.hidden[1].linear.weight.grad.clone()
    made.zero_grad()
    (made(rows(4)) * torch.ones(4, 5)).sum().backward()
    assert torch.equal(one, made.hidden[1].linear.weight.grad)


@each_form
def test_equal_seeds_give_equal_trainings_to_the_bit(form: dict[str, Any]) -> None:
    before = torch.random.get_rng_state()
    results = []
    for _ in range(2):
        made, x = mlp(form, (40, 30)), rows(50)
        for _ in range(3):
            made(x).square().sum().backward()
            with torch.no_grad():
                for p in made.parameters():
                    if p.grad is not None:
                        p -= 0.001 * p.grad
        results.append(made(x).detach())
    assert torch.equal(*results)
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_step_and_every_layer_drops_other_units() -> None:
    made = mlp({"dropout": 0.5}, (20, 20))
    assert not torch.equal(made(rows(9)), made(rows(9)))
    assert made.hidden[0].seed != made.hidden[1].seed


@torch.no_grad()
def test_outside_training_a_row_scores_the_same_alone_and_among_others() -> None:
    made, x = mlp({"batch_norm": True, "dropout": 0.5}, (40, 30)).eval(), rows(2500)
    alone = torch.cat([made(x[i : i + 1]) for i in range(20)])
    torch.testing.assert_close(alone, made(x)[:20], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(made(x[1020:1030]), made(x)[1020:1030], atol=1e-6, rtol=1e-5)


@each_form
@pytest.mark.parametrize("n", [0, 1, 33])
@pytest.mark.parametrize("out", [1, None])
def test_scores_without_gradients_are_those_with(form: dict[str, Any], n: int, out: Any) -> None:
    made = mlp(form, out=out).eval()
    x = rows(n)
    with torch.inference_mode():
        scored = made(x)
    torch.testing.assert_close(scored, made(x).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_scores_follow_what_is_loaded_and_what_is_trained(batch_norm: bool) -> None:
    made, other, x = mlp({"batch_norm": batch_norm}).eval(), mlp({"batch_norm": batch_norm}, seed=4).eval(), rows(9)

    def scored() -> torch.Tensor:
        with torch.inference_mode():
            return made(x).clone()

    first = scored()
    made.load_state_dict(other.state_dict())
    torch.testing.assert_close(scored(), other(x).detach(), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(scored(), first)
    made.train()
    made.hidden[0].linear.weight.detach().numpy()[:] *= 2  # unseen by torch, as compiled optimisers do
    made.eval()
    torch.testing.assert_close(scored(), made(x).detach(), atol=1e-6, rtol=1e-5)
    x = x.double()
    torch.testing.assert_close(made.double()(x).detach(), scored(), atol=1e-6, rtol=1e-5)


def test_running_averages_follow_the_batches() -> None:
    made, x = mlp({"batch_norm": True}, (8,)), rows(50)
    z = made.hidden[0].linear(x).detach()
    for _ in range(200):
        made(x)
    torch.testing.assert_close(made.hidden[0].norm.mean, z.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.hidden[0].norm.variance, z.var(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_bf16_is_off_unless_asked_for_and_then_near(batch_norm: bool) -> None:
    form = {"batch_norm": batch_norm, "dropout": 0.3}
    exact, rounded = (mlp(form, (64, 64)) for _ in range(2))
    x = rows(200)
    assert {layer.precision for layer in exact.hidden} == {"fp32"}
    for layer in rounded.hidden:
        layer.precision = "bf16"
    a, b = exact(x), rounded(x)
    assert not torch.equal(a, b)
    assert float((a - b).detach().abs().mean() / a.detach().std()) < 0.02
    a.sum().backward()
    b.sum().backward()
    one, other = (m.hidden[0].linear.weight.grad for m in (exact, rounded))
    assert one.dtype == other.dtype == torch.float32
    assert float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0)) > 0.99
    assert torch.allclose(exact.eval()(x), mlp(form, (64, 64)).eval()(x)) or batch_norm


@pytest.mark.parametrize("form", [{}, {"batch_norm": True}], ids=str)
def test_what_is_not_a_number_is_not_hidden(form: dict[str, Any]) -> None:
    x = rows(5)
    x[2, 3] = torch.nan
    assert torch.isnan(mlp(form)(x)[2])


def test_extreme_inputs_give_finite_normalised_outputs() -> None:
    made = mlp({"batch_norm": True})
    for scale in (0.0, 1e-20, 1e15):
        assert torch.isfinite(made(rows(30) * scale)).all()


def test_a_dropout_of_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="`dropout`"):
        MLP(3, (2,), dropout=1.0)


def test_weights_are_drawn_xavier_normal_and_biases_are_zero() -> None:
    made = MLP(300, (200,))
    made.initialise(torch.Generator().manual_seed(0))
    layer = made.hidden[0].linear
    assert float(layer.weight.detach().std()) == pytest.approx(np.sqrt(2 / 500), rel=0.02)
    assert not layer.bias.any()


def n_numbers(*parts: torch.nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


@pytest.mark.parametrize(
    ("sizes", "lr", "machine", "ipnn", "deep"),
    [
        ([955, 4083, 8, 8, 3, 4, 3, 10, 81, 234], 5_390, 59_280, 433_491, 423_280),
        ([16976, 23605, 49658], 90_240, 992_630, 1_237_191, 1_328_630),
    ],
    ids=["frappe", "movielens"],
)
def test_parameters_are_as_many_as_published(sizes: list[int], lr: int, machine: int, ipnn: int, deep: int) -> None:
    n, fields, dims = sum(sizes), len(sizes), (400, 400, 400)
    linear, vectors = FieldLinear(Table(n, 1)), Table(n, 10)
    n_pairs = fields * (fields - 1) // 2
    assert n_numbers(linear) == lr
    assert n_numbers(linear, vectors) == machine
    assert n_numbers(vectors, MLP(fields * 10 + n_pairs, dims)) == ipnn
    wide = FieldLinear(Table(n, 1), bias=False)
    assert n_numbers(wide, vectors, MLP(fields * 10, dims, batch_norm=True)) == deep


def test_parameters_of_a_cross_network_are_as_many_as_published() -> None:
    deep, last = MLP(100, (400, 400, 400), batch_norm=True, out=None), MLP(500, ())
    assert n_numbers(Table(5389, 10), CrossNetwork(100, 4), deep, last) == 458_391
