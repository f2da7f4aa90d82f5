from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from rankine.errors import ConfigError
from rankine.nn.codes import mixed
from rankine.nn.tables import KINDS, Kind, Table

SIZES = [956, 4, 4084, 0, 9, 235]
N_ROWS = sum(SIZES)


def table(
    kind: Kind, share: float = 0.25, *, sparse: bool = True, sizes: list[int] | None = SIZES, **settings: int
) -> Table:
    made = Table(N_ROWS, 6, kind, share, sizes=sizes, min_rows=100, sparse=sparse, **settings)
    made.initialise(torch.Generator().manual_seed(3), 0.5)
    return made


def fmix32(x: int) -> int:
    """The last step of MurmurHash3, in whole numbers."""
    x = (x ^ (x >> 16)) * 0x85EBCA6B % 2**32
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % 2**32
    return x ^ (x >> 16)


def slow_rows(made: Table) -> np.ndarray:
    """Every row of a table, one at a time, from its definition."""
    weight, code = made.weight.detach().double().numpy(), made.code
    rows = []
    if made.kind == "plain":
        return weight
    stored_before = quotients_before = start = 0
    for n in [n for n in SIZES if n]:
        small = n <= 100
        if made.kind == "quotient_remainder":
            m = n if small else int(code.modulus[[s for s in SIZES if s].index(n)])
            for x in range(n):
                remainder = code.n_quotients + stored_before + x % m
                rows.append(weight[quotients_before + x // m] * weight[remainder])
            stored_before, quotients_before = stored_before + m, quotients_before + -(-n // m)
        else:
            k = code.width
            m = n if small else max(int(np.ceil(0.25 * n)), k)
            parts = [len(range(j, m, k)) for j in range(k)]
            for x in range(start, start + n):
                if small:
                    rows.append(weight[stored_before + x - start])
                    continue
                places = [stored_before + sum(parts[:j]) + fmix32(x ^ int(code.seeds[j])) % parts[j] for j in range(k)]
                assert len(set(places)) == k
                rows.append(weight[places].sum(0))
            stored_before += m
        start += n
    return np.array(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_every_row_is_what_its_definition_says(kind: Kind, dtype: torch.dtype) -> None:
    made = table(kind, n_hashes=3)
    rows = made(torch.arange(N_ROWS, dtype=dtype))
    np.testing.assert_allclose(rows.detach().numpy(), slow_rows(made), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5, 3), (2, 3, 4), (0, 7)])
def test_rows_come_in_the_shape_of_their_indices(kind: Kind, shape: tuple[int, ...]) -> None:
    idx = torch.randint(N_ROWS, shape, generator=torch.Generator().manual_seed(1))
    made = table(kind)
    rows = made(idx)
    assert rows.shape == (*shape, 6)
    torch.testing.assert_close(rows.reshape(-1, 6), made(torch.arange(N_ROWS))[idx.reshape(-1)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_and_their_gradients_are_those_of_an_index(kind: Kind, weighted: bool) -> None:
    g = torch.Generator().manual_seed(2)
    idx, borders = torch.randint(N_ROWS, (40,), generator=g), torch.tensor([0, 3, 3, 10, 11, 40])
    weight = torch.rand(40, generator=g) if weighted else None
    if weight is not None:
        weight[::5] = 0
    up, gradients = torch.rand(5, 6, generator=g), []
    for sparse in (True, False):
        made = table(kind, sparse=sparse)
        sums = made.sums(idx, weight, borders)
        rows = made(idx) * (1 if weight is None else weight.unsqueeze(1))
        expected = torch.stack([rows[a:b].sum(0) for a, b in pairwise(borders)])
        torch.testing.assert_close(sums, expected)
        (sums * up).sum().backward()
        assert made.weight.grad is not None
        assert made.weight.grad.is_sparse == sparse
        gradients.append(made.weight.grad.to_dense() if sparse else made.weight.grad)
        made.weight.grad = None
        (expected * up).sum().backward()
        slow = made.weight.grad
        torch.testing.assert_close(gradients[-1], slow.to_dense() if sparse else slow)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_differences(kind: Kind) -> None:
    made = table(kind, sparse=False).double()
    idx, borders = torch.tensor([0, 5000, 957, 3, 3]), torch.tensor([0, 2, 5])
    weight = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    made.sums(idx, weight, borders).sum().backward()
    rows = torch.unique(made.weight.grad.nonzero()[:, 0])
    values = made.weight.detach()[rows].requires_grad_()

    def run(x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(made, {"weight": made.weight.detach().index_put((rows,), x)}, (idx,))

    assert torch.autograd.gradcheck(run, (values,))


@pytest.mark.parametrize("kind", KINDS)
def test_a_slot_of_weight_zero_touches_no_row(kind: Kind) -> None:
    made = table(kind)
    idx, weight = torch.tensor([5, 0, 0, 7]), torch.tensor([1.0, 0.0, 0.0, 0.5])
    made.sums(idx, weight, torch.tensor([0, 2, 4])).sum().backward()
    assert made.weight.grad is not None
    used = torch.tensor([5, 7])
    places = used if made.code is None else made.code(used)[0].flatten()
    assert sorted(made.weight.grad._indices()[0].tolist()) == sorted(places.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_sums_as_rows_need_not_be_one_of_each(kind: Kind) -> None:
    made, idx = table(kind), torch.tensor([5, 700])
    first, second = made.sums(idx, None, torch.tensor([0, 0, 2]))
    assert not first.detach().any()
    (10 * first + second).sum().backward()
    found = made.weight.grad.to_dense()
    made.weight.grad = None
    made(idx).sum().backward()
    torch.testing.assert_close(found, made.weight.grad.to_dense())


@pytest.mark.parametrize("kind", ["plain", "hashed", "bloom"])
def test_sparse_gradients_hold_what_the_batch_touched_only(kind: Kind) -> None:
    made = table(kind, sizes=None)
    made(torch.tensor([[7, 8], [7, 9]])).sum().backward()
    assert made.weight.grad is not None
    assert made.weight.grad._nnz() == 4 * (2 if kind == "bloom" else 1)


@pytest.mark.parametrize("kind", ["hashed", "bloom", "quotient_remainder"])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_large_fields_are_compressed_to_their_share_and_small_ones_kept_whole(kind: Kind, share: float) -> None:
    made = table(kind, share)
    large, small = 956 + 4084 + 235, 4 + 9
    assert made.n_parameters == made.weight.numel()
    floor = 2 * sum(np.sqrt(n) for n in (956, 4084, 235))  # the fewest rows that tell all rows apart as pairs
    stored = made.n_parameters / 6 - small
    assert stored == pytest.approx(max(share * large, floor if kind == "quotient_remainder" else 0), abs=20)
    first = made(torch.arange(956, 960))
    assert len(torch.unique(first, dim=0)) == 4


def test_quotient_and_remainder_tell_all_rows_apart() -> None:
    code = table("quotient_remainder", 0.1).code
    assert code is not None
    places, _ = code(torch.arange(N_ROWS))
    assert len(torch.unique(places, dim=0)) == N_ROWS


def test_products_of_factors_start_as_wide_as_rows_of_a_plain_table() -> None:
    made = Table(20_000, 8, "quotient_remainder", 0.2)
    made.initialise(torch.Generator().manual_seed(0), 1e-4)
    assert float(made(torch.arange(20_000)).detach().std()) == pytest.approx(1e-4, rel=0.03)


def test_bloom_codes_collide_far_more_rarely_than_single_hashes() -> None:
    distinct = {}
    for kind in ("hashed", "bloom"):
        code = Table(20_000, 1, kind, 0.1, n_hashes=4).code
        assert code is not None
        distinct[kind] = len(torch.unique(code(torch.arange(20_000))[0], dim=0))
    assert distinct["hashed"] <= 2000
    assert distinct["bloom"] > 19_990


def test_hashes_fill_their_places_evenly() -> None:
    code = Table(100_000, 1, "hashed", 0.01).code
    assert code is not None
    counts = np.bincount(code(torch.arange(100_000))[0].flatten(), minlength=1000)
    assert counts.var() == pytest.approx(100, rel=0.2)  # as Poisson


def test_mixing_is_the_well_known_one_and_one_to_one() -> None:
    x = torch.randint(2**32, (1000,), generator=torch.Generator().manual_seed(0))
    assert mixed(x).tolist() == [fmix32(n) for n in x.tolist()]
    assert len(torch.unique(mixed(torch.arange(100_000)))) == 100_000


def test_hashes_are_saved_and_taken_from_what_was_saved() -> None:
    made, loaded = Table(1000, 1, "bloom", 0.1, n_hashes=3), Table(1000, 1, "bloom", 0.1, n_hashes=3)
    assert made.code is not None
    assert sorted(made.state_dict()) == ["code.seeds", "weight"]
    made.code.seeds += 5
    made.initialise(torch.Generator().manual_seed(0), 1.0)
    loaded.load_state_dict(made.state_dict())
    assert torch.equal(made(torch.arange(1000)), loaded(torch.arange(1000)))


def test_equal_generators_give_equal_tables_and_leave_the_shared_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    assert torch.equal(table("bloom").weight, table("bloom").weight)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", [-1, N_ROWS, 2**31 - 1])
def test_a_row_that_is_not_there_is_an_error(kind: Kind, row: int) -> None:
    made, idx = table(kind), torch.tensor([3, row], dtype=torch.int32)
    with pytest.raises((IndexError, RuntimeError), match=r"range|name rows"):
        made(idx)
    with pytest.raises((IndexError, RuntimeError), match=r"range|name rows"):
        made.sums(idx, None, torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("kind", "share", "message"),
    [("plane", 1.0, "did you mean `plain`"), ("hashed", 0.0, "`share`"), ("hashed", 1.5, "`share`")],
)
def test_wrong_settings_are_named(kind: Kind, share: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Table(10, 2, kind, share)


@pytest.mark.parametrize("n_hashes", [0, 9])
def test_hashes_are_as_many_as_there_are_seeds_at_most(n_hashes: int) -> None:
    with pytest.raises(ConfigError, match="`n_hashes` must be 1 to 8"):
        Table(100, 2, "bloom", 0.5, n_hashes=n_hashes)


def test_sizes_must_add_up() -> None:
    with pytest.raises(ValueError, match="`sizes` must add up"):
        Table(10, 2, sizes=[3, 4])
