"""Vectors of numbers inside compiled kernels, and the three products that alternating least squares is made of.

The compiler turns a plain loop into vector instructions, but does not keep a block of sums in registers; these do.
Arrays are flat, float32 and contiguous; `dim` is a multiple of LINE. They are fastest where rows start at multiples of
64 bytes (`aligned`): a load across two cache lines costs two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.core.datamodel import models
from numba.core.registry import cpu_target
from numba.extending import intrinsic as untyped_intrinsic
from numba.extending import overload, register_model

from rankine.arrays import Float
from rankine.kernels.jit import kernel

LINE = 16  # float32 of a cache line: rows are padded to it
FEATURES = frozenset(cpu_target.target_context.codegen().magic_tuple()[2].split(","))  # of the processor compiled for
WIDTH = 16 if "+avx512f" in FEATURES else 8  # float32 of a register
TILE = 4  # registers of a row that are worked on together
ROWS = 4  # rows that share one reading of the other factor in `add_product`

intrinsic: Any = untyped_intrinsic
cgutils: Any = untyped_cgutils
_FLOAT, _I8, _I32, _I64 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, WIDTH)
_NOTHING = ir.Constant(_VECTOR, ir.Undefined)
_ZERO = ir.Constant(_VECTOR, [0.0] * WIDTH)
_FUSED = ("contract", "nsz")


class Lanes(types.Type):
    """The compiled type of WIDTH float32 numbers."""

    def __init__(self) -> None:
        super().__init__(f"Lanes({WIDTH})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _VECTOR)  # type: ignore[no-untyped-call]


LANES = Lanes()
INDEX, NUMBER = types.int64, types.float32


@kernel
def aligned(size: int) -> Float:
    """An uninitialised float32 array [size] that starts at a multiple of 64 bytes."""
    memory = np.empty(size + LINE, np.float32)
    start = (-(memory.ctypes.data // 4)) % LINE
    return memory[start : start + size]


@intrinsic
def load(_: Any, array: Any, at: Any) -> Any:
    """array[at : at + WIDTH]."""
    return LANES(array, INDEX), _code(lambda b, array, at: _load(b, array, at))


@intrinsic
def store(_: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at : at + WIDTH] = value."""
    return types.void(array, INDEX, LANES), _code(lambda b, array, at, value: _store(b, value, array, at))


@intrinsic
def store_starts(_: Any, starts: Any, at: Any, columns: Any, first: Any, stride: Any) -> Any:
    """starts[at + j] = columns[first + j] * stride for WIDTH columns."""

    def code(b: Any, starts: Any, at: Any, columns: Any, first: Any, stride: Any) -> None:
        small, wide = ir.VectorType(_I32, WIDTH), ir.VectorType(_I64, WIDTH)
        one = b.insert_element(ir.Constant(wide, ir.Undefined), stride, _I32(0))
        strides = b.shuffle_vector(one, one, ir.Constant(small, [0] * WIDTH))
        values = b.load(b.bitcast(b.gep(columns, [first]), small.as_pointer()), align=4)
        b.store(b.mul(b.sext(values, wide), strides), b.bitcast(b.gep(starts, [at]), wide.as_pointer()), align=8)

    return types.void(starts, INDEX, columns, INDEX, INDEX), _code(code)


@intrinsic
def prefetch(_: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of array[at]."""

    def code(b: Any, array: Any, at: Any) -> None:
        address = b.bitcast(b.gep(array, [at]), _I8.as_pointer())
        call = ir.FunctionType(ir.VoidType(), [address.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(b.module, call, "llvm.prefetch.p0")
        b.call(function, [address, _I32(0), _I32(3), _I32(1)])  # to read, into the nearest cache, of data

    return types.void(array, INDEX), _code(code)


@intrinsic
def fence(_: Any) -> Any:
    """Nothing, but what was read from memory before must be read again after it, not kept in registers."""
    nothing = ir.FunctionType(ir.VoidType(), [])
    return types.void(), _code(lambda b: b.asm(nothing, "", "~{memory}", [], side_effect=True) and None)


@intrinsic
def splat(_: Any, number: Any) -> Any:
    """The same number WIDTH times."""
    return LANES(NUMBER), _code(_splat)


@intrinsic
def _times(_: Any, x: Any, y: Any) -> Any:
    return LANES(LANES, LANES), _code(lambda b, x, y: b.fmul(x, y, flags=_FUSED))


@intrinsic
def _plus(_: Any, x: Any, y: Any) -> Any:
    return LANES(LANES, LANES), _code(lambda b, x, y: b.fadd(x, y, flags=_FUSED))


@intrinsic
def _over(_: Any, x: Any, y: Any) -> Any:
    return LANES(LANES, LANES), _code(lambda b, x, y: b.fdiv(x, y))


@intrinsic
def square_root(_: Any, value: Any) -> Any:
    """The square root of each number."""

    def code(b: Any, value: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.sqrt.v{WIDTH}f32"), [value])

    return LANES(LANES), _code(code)


@overload(operator.mul, strict=False)
def _overload_times(x: Any, y: Any) -> Any:
    return (lambda x, y: _times(x, y)) if isinstance(x, Lanes) and isinstance(y, Lanes) else None


@overload(operator.add, strict=False)
def _overload_plus(x: Any, y: Any) -> Any:
    return (lambda x, y: _plus(x, y)) if isinstance(x, Lanes) and isinstance(y, Lanes) else None


@overload(operator.truediv, strict=False)
def _overload_over(x: Any, y: Any) -> Any:
    return (lambda x, y: _over(x, y)) if isinstance(x, Lanes) and isinstance(y, Lanes) else None


@intrinsic
def total(_: Any, value: Any) -> Any:
    """The sum of the numbers."""
    return NUMBER(LANES), _code(lambda b, value: b.extract_element(_sums(b, [value]), _I32(0)))


def _dot_rows(n_rows: int) -> Any:
    @intrinsic
    def dot_rows(_: Any, table: Any, starts: Any, first: Any, x: Any, x_at: Any, dim: Any) -> Any:
        def code(b: Any, table: Any, starts: Any, first: Any, x: Any, x_at: Any, dim: Any) -> Any:
            rows = _rows(b, table, starts, first, n_rows)
            sums = [cgutils.alloca_once(b, _VECTOR) for _ in rows]

            def add(c: Any, tile: int) -> None:
                places = [b.add(c, _I64(k * WIDTH)) for k in range(tile)]
                parts = [_load(b, x, b.add(x_at, place)) for place in places]
                for row, total in zip(rows, sums, strict=True):
                    value = b.load(total)
                    for part, place in zip(parts, places, strict=True):
                        value = _fma(b, _load(b, row, place), part, value)
                    b.store(value, total)

            for total in sums:
                b.store(_ZERO, total)
            _in_tiles(b, dim, TILE, add)
            return _sums(b, [b.load(total) for total in sums])

        return LANES(table, starts, INDEX, x, INDEX, INDEX), _code(code)

    return dot_rows


def _add_rows(n_rows: int) -> Any:
    @intrinsic
    def add_rows(
        _: Any, table: Any, starts: Any, first: Any, factors: Any, factors_at: Any, out: Any, out_at: Any, dim: Any
    ) -> Any:
        def code(
            b: Any, table: Any, starts: Any, first: Any, factors: Any, factors_at: Any, out: Any, out_at: Any, dim: Any
        ) -> None:
            rows = _rows(b, table, starts, first, n_rows)
            scales = [_splat(b, b.load(b.gep(factors, [b.add(factors_at, _I64(j))]))) for j in range(n_rows)]

            def add(c: Any, tile: int) -> None:
                places = [b.add(c, _I64(k * WIDTH)) for k in range(tile)]
                sums = [[_load(b, out, b.add(out_at, place)), _ZERO] for place in places]  # two shorter chains each
                for j, (row, scale) in enumerate(zip(rows, scales, strict=True)):
                    for pair, place in zip(sums, places, strict=True):
                        pair[j % 2] = _fma(b, scale, _load(b, row, place), pair[j % 2])
                for pair, place in zip(sums, places, strict=True):
                    _store(b, b.fadd(*pair, flags=_FUSED), out, b.add(out_at, place))

            _in_tiles(b, dim, TILE, add)

        return types.void(table, starts, INDEX, factors, INDEX, out, INDEX, INDEX), _code(code)

    return add_rows


# dot_rows(table, starts, first, x, x_at, dim): the products of the row x[x_at : x_at + dim] with rows of `table`, as many
# as the name says; row j begins at starts[first + j], int64.
dot_rows, dot_8_rows, dot_4_rows = _dot_rows(WIDTH), _dot_rows(8), _dot_rows(4)
# add_rows(table, starts, first, factors, factors_at, out, out_at, dim): adds the same rows, times numbers, to a row of `out`.
add_rows, add_8_rows, add_4_rows = _add_rows(WIDTH), _add_rows(8), _add_rows(4)


@intrinsic
def add_product(
    _: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, n_steps: Any, other: Any, other_at: Any, out: Any, out_at: Any,
    stride: Any, dim: Any,
) -> Any:  # fmt: skip
    """out[j] += sum_k a[j, k] other[k] for four rows j, of which `dim` numbers count.

    a[j, k] is a[a_at + j a_row + k a_step]; the rows of `other` and `out` lie `stride` apart.
    """

    def code(
        b: Any, a: Any, a_at: Any, a_row: Any, a_step: Any, n_steps: Any, other: Any, other_at: Any, out: Any, out_at: Any,
        stride: Any, dim: Any,
    ) -> None:  # fmt: skip
        starts = [b.add(a_at, b.mul(_I64(j), a_row)) for j in range(ROWS)]
        rows = [b.add(out_at, b.mul(_I64(j), stride)) for j in range(ROWS)]

        def add(c: Any, tile: int) -> None:
            places = [[b.add(b.add(row, c), _I64(k * WIDTH)) for k in range(tile)] for row in rows]
            sums = [[cgutils.alloca_once(b, _VECTOR) for _ in range(tile)] for _ in rows]
            for j in range(ROWS):
                for k in range(tile):
                    b.store(_load(b, out, places[j][k]), sums[j][k])
            with cgutils.for_range(b, n_steps) as loop:
                start = b.add(b.add(other_at, c), b.mul(loop.index, stride))
                parts = [_load(b, other, b.add(start, _I64(k * WIDTH))) for k in range(tile)]
                for j in range(ROWS):
                    scale = _splat(b, b.load(b.gep(a, [b.add(starts[j], b.mul(loop.index, a_step))])))
                    for k in range(tile):
                        b.store(_fma(b, scale, parts[k], b.load(sums[j][k])), sums[j][k])
            for j in range(ROWS):
                for k in range(tile):
                    _store(b, b.load(sums[j][k]), out, places[j][k])

        _in_tiles(b, dim, TILE, add)

    return types.void(a, INDEX, INDEX, INDEX, INDEX, other, INDEX, out, INDEX, INDEX, INDEX), _code(code)


def _code(write: Callable[..., Any]) -> Callable[..., Any]:
    """What numba calls: `write` gets the builder, and of arrays the address of their first number."""

    def code(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        plain = [
            context.make_array(kind)(context, b, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        value = write(b, *plain)
        return context.get_dummy_value() if value is None else value

    return code


def _address(b: Any, array: Any, at: Any) -> Any:
    return b.bitcast(b.gep(array, [at]), _VECTOR.as_pointer())


def _load(b: Any, array: Any, at: Any) -> Any:
    return b.load(_address(b, array, at), align=4)


def _store(b: Any, value: Any, array: Any, at: Any) -> None:
    b.store(value, _address(b, array, at), align=4)


def _fma(b: Any, x: Any, y: Any, z: Any) -> Any:
    return b.fadd(b.fmul(x, y, flags=_FUSED), z, flags=_FUSED)


def _shuffle(b: Any, x: Any, y: Any, places: list[int]) -> Any:
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, WIDTH), places))


def _splat(b: Any, number: Any) -> Any:
    return _shuffle(b, b.insert_element(_NOTHING, number, _I32(0)), _NOTHING, [0] * WIDTH)


def _sums(b: Any, vectors: list[Any]) -> Any:
    """The sum of vector j in place j, for 1, 2, 4 .. WIDTH vectors: pairs are folded into one another."""
    vectors = vectors * (WIDTH // len(vectors))
    group = WIDTH
    while group > 1:
        half = group // 2
        left = [start + k + side for start in range(0, WIDTH, group) for side in (0, WIDTH) for k in range(half)]
        right = [place + half for place in left]
        pairs = zip(vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :], strict=True)
        vectors = [b.fadd(_shuffle(b, x, y, left), _shuffle(b, x, y, right), flags=_FUSED) for x, y in pairs]
        group = half
    return vectors[0]


def _rows(b: Any, table: Any, starts: Any, first: Any, n_rows: int) -> list[Any]:
    return [b.gep(table, [b.load(b.gep(starts, [b.add(first, _I64(j))]))]) for j in range(n_rows)]


def _in_tiles(b: Any, dim: Any, tile: int, body: Callable[[Any, int], None]) -> None:
    """body(start, n) for parts of `dim` numbers: tiles of n = `tile` registers first, then single ones."""
    whole = b.and_(dim, _I64(-tile * WIDTH))
    for start, stop, n in ((_I64(0), whole, tile), (whole, dim, 1)):
        with cgutils.for_range_slice(b, start, stop, _I64(n * WIDTH), inc=True) as (c, _):
            body(c, n)
