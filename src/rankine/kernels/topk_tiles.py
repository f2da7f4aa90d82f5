"""Products of a few users with a tile of items, kept in registers until they are complete.

Items lie in panels of PANEL: first the first coordinate of all of them, then the second, and so on; users of a block
likewise. So every score is one chain of fused products over the coordinates in order, and the same float32 wherever it
is worked out: in a block of users, alone, or pair by pair (`fused`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from rankine.kernels.lanes import FEATURES, INDEX, NUMBER, WIDTH, _code, cgutils, intrinsic

PANEL = 2 * WIDTH  # items that are worked on together: two registers
TILE = 256  # items whose scores are held at a time
BLOCK = 12 if WIDTH == 16 else 6  # users that share one reading of a panel; with these the registers are full
SPAN = 8 * BLOCK  # users that share one reading of all items from memory
HAS_BYTES = WIDTH == 16 and "+avx512vnni" in FEATURES  # four products of bytes in one step

_FLOAT, _INT, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTS = ir.VectorType(_FLOAT, WIDTH), ir.VectorType(_INT, WIDTH)


@dataclass(frozen=True)
class _Cell:
    """What a coordinate is: a float32, or four bytes in an int32."""

    vector: Any
    function: str  # x, y, z -> x y + z, or z + the four products of x (unsigned) and y (signed)

    def added(self, b: Any, items: Any, users: Any, total: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        call = cgutils.get_or_insert_function(b.module, kind, self.function)
        ordered = [items, users, total] if self.vector is _FLOATS else [total, items, users]
        return b.call(call, ordered)


_NUMBERS = _Cell(_FLOATS, f"llvm.fma.v{WIDTH}f32")
_BYTES = _Cell(_INTS, "llvm.x86.avx512.vpdpbusd.512")


def _tile(cell: _Cell, n_users: int, n_panels: int) -> Any:
    @intrinsic
    def tile(
        _: Any, users: Any, at: Any, first: Any, items: Any, items_at: Any, dim: Any, out: Any, out_at: Any
    ) -> Any:
        def code(
            b: Any, users: Any, at: Any, first: Any, items: Any, items_at: Any, dim: Any, out: Any, out_at: Any
        ) -> None:
            n_lanes = 2 * n_panels
            sums = [[cgutils.alloca_once(b, cell.vector) for _ in range(n_lanes)] for _ in range(n_users)]
            for j, row in enumerate(sums):
                start = _splat(b, b.load(b.gep(first, [_I64(j)])))
                for total in row:
                    b.store(start, total)
            with cgutils.for_range(b, dim) as loop:
                place = b.add(items_at, b.mul(loop.index, _I64(PANEL)))
                panels = [b.add(place, b.mul(b.mul(dim, _I64(PANEL)), _I64(p))) for p in range(n_panels)]
                parts = [_load(b, items, b.add(p, _I64(side)), cell.vector) for p in panels for side in (0, WIDTH)]
                user = b.add(at, b.mul(loop.index, _I64(n_users)))
                for j, row in enumerate(sums):
                    factor = _splat(b, b.load(b.gep(users, [b.add(user, _I64(j))])))
                    for part, total in zip(parts, row, strict=True):
                        b.store(cell.added(b, part, factor, b.load(total)), total)
            for j, row in enumerate(sums):
                for lane, total in enumerate(row):
                    _store(b, b.load(total), out, b.add(out_at, _I64(j * TILE + lane * WIDTH)))

        return types.void(users, INDEX, first, items, INDEX, INDEX, out, INDEX), _code(code)

    return tile


# tile(users, at, first, items, items_at, dim, out, out_at): out[out_at + j TILE + i] = first[j] + sum_d users[at, d, j]
# items[items_at, d, i], for the users of a block and the items of a panel, or for one user and four panels.
block_tile, row_tile = _tile(_NUMBERS, BLOCK, 1), _tile(_NUMBERS, 1, 4)
block_tile_of_bytes, row_tile_of_bytes = _tile(_BYTES, BLOCK, 1), _tile(_BYTES, 1, 4)


@intrinsic
def fused(_: Any, x: Any, y: Any, z: Any) -> Any:
    """x y + z, rounded once."""

    def code(b: Any, x: Any, y: Any, z: Any) -> Any:
        kind = ir.FunctionType(_FLOAT, [_FLOAT] * 3)
        return b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.fma.f32"), [x, y, z])

    return NUMBER(NUMBER, NUMBER, NUMBER), _code(code)


@intrinsic
def eight_scores(_: Any, users: Any, at: Any, rows: Any, ids: Any, ids_at: Any, dim: Any, out: Any) -> Any:
    """The products of users[at : at + dim] with the rows that ids[ids_at : ids_at + 8] name, to the same places of `out`."""

    def code(b: Any, users: Any, at: Any, rows: Any, ids: Any, ids_at: Any, dim: Any, out: Any) -> None:
        places = [b.add(ids_at, _I64(j)) for j in range(8)]
        starts = [b.gep(rows, [b.mul(b.sext(b.load(b.gep(ids, [place])), _I64), dim)]) for place in places]
        sums = [cgutils.alloca_once(b, _FLOAT) for _ in places]
        for total in sums:
            b.store(_FLOAT(0.0), total)
        function = cgutils.get_or_insert_function(b.module, ir.FunctionType(_FLOAT, [_FLOAT] * 3), "llvm.fma.f32")
        with cgutils.for_range(b, dim) as loop:
            factor = b.load(b.gep(users, [b.add(at, loop.index)]))
            for start, total in zip(starts, sums, strict=True):
                b.store(b.call(function, [b.load(b.gep(start, [loop.index])), factor, b.load(total)]), total)
        for place, total in zip(places, sums, strict=True):
            b.store(b.load(total), b.gep(out, [place]))

    return types.void(users, INDEX, rows, ids, INDEX, INDEX, out), _code(code)


@intrinsic
def append_above(
    _: Any, tile: Any, at: Any, limit: Any, first: Any, scores: Any, ids: Any, start: Any, size: Any
) -> Any:
    """Append those of tile[at : at + TILE] that exceed `limit` to a list, and first + their place in the tile.

    The list is scores[start : start + size], with its `ids`; returns the new size. There must be room for TILE more.
    """

    def code(b: Any, tile: Any, at: Any, limit: Any, first: Any, scores: Any, ids: Any, start: Any, size: Any) -> Any:
        n = cgutils.alloca_once_value(b, size)

        def append(place: Any) -> None:
            identity = b.trunc(b.add(first, place), _INT)
            _append(b, b.load(b.gep(tile, [b.add(at, place)])), identity, scores, ids, start, n)

        _where_above(b, tile, at, _I64(TILE), limit, append)
        return b.load(n)

    return INDEX(tile, INDEX, tile.dtype, INDEX, scores, ids, INDEX, INDEX), _code(code)


@intrinsic
def keep_above(_: Any, scores: Any, ids: Any, start: Any, size: Any, limit: Any) -> Any:
    """Move what exceeds `limit` to the front of a list whose `size` is a multiple of 64; returns how many there are."""

    def code(b: Any, scores: Any, ids: Any, start: Any, size: Any, limit: Any) -> Any:
        n = cgutils.alloca_once_value(b, _I64(0))

        def append(place: Any) -> None:
            at = b.add(start, place)
            _append(b, b.load(b.gep(scores, [at])), b.load(b.gep(ids, [at])), scores, ids, start, n)

        _where_above(b, scores, start, size, limit, append)
        return b.load(n)

    return INDEX(scores, ids, INDEX, INDEX, scores.dtype), _code(code)


def _where_above(b: Any, values: Any, at: Any, size: Any, limit: Any, found: Callable[[Any], None]) -> None:
    """found(place) for each place of values[at : at + size] that exceeds `limit`, 64 of them compared at a time."""
    limits = _splat(b, limit)
    with cgutils.for_range_slice(b, _I64(0), size, _I64(64), inc=True) as (place, _):
        bits = _I64(0)
        for lane in range(0, 64, WIDTH):
            part = _load(b, values, b.add(at, b.add(place, _I64(lane))), limits.type)
            mask = b.bitcast(_exceeds(b, part, limits), ir.IntType(WIDTH))
            bits = b.or_(bits, b.shl(b.zext(mask, _I64), _I64(lane)))
        with b.if_then(b.icmp_unsigned("!=", bits, _I64(0)), likely=False):
            _each_bit(b, bits, lambda bit: found(b.add(place, bit)))


def _each_bit(b: Any, bits: Any, found: Callable[[Any], None]) -> None:
    """found(bit) for each that is set in a number other than 0."""
    left = cgutils.alloca_once_value(b, bits)
    b.store(bits, left)
    again, done = b.append_basic_block("bit"), b.append_basic_block("done")
    b.branch(again)
    b.position_at_end(again)
    now = b.load(left)
    found(b.cttz(now, ir.IntType(1)(1)))
    now = b.and_(now, b.sub(now, _I64(1)))
    b.store(now, left)
    b.cbranch(b.icmp_unsigned("!=", now, _I64(0)), again, done)
    b.position_at_end(done)


def _append(b: Any, score: Any, identity: Any, scores: Any, ids: Any, start: Any, n: Any) -> None:
    score = b.sitofp(score, _FLOAT) if score.type == _INT else score
    size = b.load(n)
    to = b.add(start, size)
    b.store(score, b.gep(scores, [to]))
    b.store(identity, b.gep(ids, [to]))
    b.store(b.add(size, _I64(1)), n)


@intrinsic
def count_above(_: Any, scores: Any, start: Any, size: Any, limit: Any) -> Any:
    """How many of scores[start : start + size] exceed `limit`; `size` is a multiple of WIDTH, NaN exceeds nothing."""

    def code(b: Any, scores: Any, start: Any, size: Any, limit: Any) -> Any:
        limits, counts = _splat(b, limit), cgutils.alloca_once(b, _INTS)
        b.store(ir.Constant(_INTS, [0] * WIDTH), counts)
        with cgutils.for_range_slice(b, _I64(0), size, _I64(WIDTH), inc=True) as (place, _):
            above = _exceeds(b, _load(b, scores, b.add(start, place), limits.type), limits)
            b.store(b.sub(b.load(counts), b.sext(above, _INTS)), counts)  # true is -1
        kind = ir.FunctionType(_INT, [_INTS])
        call = cgutils.get_or_insert_function(b.module, kind, f"llvm.vector.reduce.add.v{WIDTH}i32")
        return b.zext(b.call(call, [b.load(counts)]), _I64)

    return INDEX(scores, INDEX, INDEX, scores.dtype), _code(code)


def _extreme(order: str, worst: float) -> Any:
    @intrinsic
    def extreme(_: Any, scores: Any, start: Any, size: Any) -> Any:
        def code(b: Any, scores: Any, start: Any, size: Any) -> Any:
            best = cgutils.alloca_once(b, _FLOATS)
            b.store(ir.Constant(_FLOATS, [worst] * WIDTH), best)
            with cgutils.for_range_slice(b, _I64(0), size, _I64(WIDTH), inc=True) as (place, _):
                value, kept = _load(b, scores, b.add(start, place), _FLOATS), b.load(best)
                b.store(b.select(b.fcmp_ordered(order, value, kept), value, kept), best)
            values = [b.extract_element(b.load(best), _INT(i)) for i in range(WIDTH)]
            while len(values) > 1:
                pairs = zip(values[::2], values[1::2], strict=True)
                values = [b.select(b.fcmp_ordered(order, x, y), x, y) for x, y in pairs]
            return values[0]

        return NUMBER(scores, INDEX, INDEX), _code(code)

    return extreme


# lowest(scores, start, size): the extremes of scores[start : start + size]; `size` is a multiple of WIDTH, NaN is neither.
lowest, highest = _extreme("<", float("inf")), _extreme(">", float("-inf"))


def _exceeds(b: Any, values: Any, limits: Any) -> Any:
    return b.fcmp_ordered(">", values, limits) if values.type == _FLOATS else b.icmp_signed(">", values, limits)


def _splat(b: Any, number: Any) -> Any:
    kind = ir.VectorType(number.type, WIDTH)
    one = b.insert_element(ir.Constant(kind, ir.Undefined), number, _INT(0))
    return b.shuffle_vector(one, one, ir.Constant(_INTS, [0] * WIDTH))


def _load(b: Any, array: Any, at: Any, kind: Any) -> Any:
    return b.load(b.bitcast(b.gep(array, [at]), kind.as_pointer()), align=4)


def _store(b: Any, value: Any, array: Any, at: Any) -> None:
    b.store(value, b.bitcast(b.gep(array, [at]), value.type.as_pointer()), align=4)
