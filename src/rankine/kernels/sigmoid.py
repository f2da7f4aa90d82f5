"""The sigmoid of a register of numbers, as `lanes` holds them."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils as untyped_cgutils

from rankine.kernels.lanes import LANES, WIDTH, intrinsic

cgutils: Any = untyped_cgutils
_VECTOR, _BITS = ir.VectorType(ir.FloatType(), WIDTH), ir.VectorType(ir.IntType(32), WIDTH)
_FUSED = ("contract", "nsz")
LAST_POWER = 6  # of the series of exp; the rest is below 1e-7 of it
MAX_EXPONENT = 115.0  # of two: exp stays finite, and the sigmoid above zero


@intrinsic
def sigmoid(_: Any, value: Any) -> Any:
    """1 / (1 + exp(-x)), within 6e-6 of itself; at least 2e-35, NaN of NaN."""

    def code(_context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
        exponent = b.fmul(arguments[0], _splat(-1 / math.log(2)))
        exponent = _call(b, "minnum", _call(b, "maxnum", exponent, _splat(-MAX_EXPONENT)), _splat(MAX_EXPONENT))
        whole = _call(b, "rint", exponent)
        rest = b.fmul(b.fsub(exponent, whole), _splat(math.log(2)))
        power = _splat(1 / math.factorial(LAST_POWER))
        for n in reversed(range(LAST_POWER)):
            power = b.fadd(b.fmul(power, rest, flags=_FUSED), _splat(1 / math.factorial(n)), flags=_FUSED)
        bits = b.shl(b.add(b.fptosi(whole, _BITS), _whole(127)), _whole(23))  # 2^whole, as a float32 is laid out
        result = b.fdiv(_splat(1.0), b.fadd(_splat(1.0), b.fmul(power, b.bitcast(bits, _VECTOR))))
        return b.select(b.fcmp_unordered("uno", arguments[0], arguments[0]), arguments[0], result)

    return LANES(LANES), code


def _splat(number: float) -> Any:
    return ir.Constant(_VECTOR, [number] * WIDTH)


def _whole(number: int) -> Any:
    return ir.Constant(_BITS, [number] * WIDTH)


def _call(b: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(arguments))
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.v{WIDTH}f32"), arguments)
