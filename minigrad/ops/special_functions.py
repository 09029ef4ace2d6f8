"""Special functions: error, gamma and logistic functions, and products with logarithms.

Real dtypes only; float16 and float32 are computed through float64, integers give float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.convert import as_tensor
from ..core.define import Domain, composite, pointwise, pointwise_spec, primitive
from ..core.lowering import Pointwise, Value
from ..core.spec import index_of, said
from ..errors import SpecError
from . import approximations
from .exponential import POSITIVE, exp, log, log1p, quotient
from .logic import equal, greater, greater_equal, isnan, less, logical_and, maximum, minimum, where
from .trigonometric import loop

FRACTION = Domain(0.1, 0.9)

# error functions


@pointwise(loop("erf"))
def erf(x: Any, /) -> Any:
    """Error function 2/√π ∫ exp(-t²) dt from 0 to `x`, elementwise. DLMF 7.2.1."""
    return approximations.erf(x)


@pointwise(loop("erfc"))
def erfc(x: Any, /) -> Any:
    """1 - erf(x), elementwise, exact to rounding also where it is small. DLMF 7.2.2."""
    return approximations.erfc(x)


@pointwise(loop("erfcx"))
def erfcx(x: Any, /) -> Any:
    """exp(x²) erfc(x), elementwise, without underflow. DLMF 7.2.3."""
    return approximations.erfcx(x)


@pointwise(loop("ndtr"))
def ndtr(x: Any, /) -> Any:
    """Probability that a standard normal number is below `x`, elementwise. SciPy: ndtr."""
    return approximations.ndtr(x)


@pointwise(loop("erfinv"), domain=(Domain(-0.9, 0.9),))
def erfinv(x: Any, /) -> Any:
    """The number whose error function is `x`, elementwise; inf at 1, nan beyond. DLMF 7.17."""
    return approximations.erfinv(x)


erf.defvjp(lambda g, y, x: g * ((2 / math.sqrt(math.pi)) * exp(-(x * x))))
erfc.defvjp(lambda g, y, x: g * ((-2 / math.sqrt(math.pi)) * exp(-(x * x))))
erfcx.defvjp(lambda g, y, x: g * (2 * x * y - 2 / math.sqrt(math.pi)))
ndtr.defvjp(lambda g, y, x: g * (math.sqrt(0.5 / math.pi) * exp(-0.5 * (x * x))))
erfinv.defvjp(lambda g, y, x: g * ((math.sqrt(math.pi) / 2) * exp(y * y)))


@composite
def log_ndtr(x: Any, /) -> Any:
    """Logarithm of ndtr(x), elementwise, exact also where ndtr underflows."""
    x = as_tensor(x)
    # each branch gets an argument it can bear, so that none spoils the other's derivative
    low, high = minimum(x, -1), maximum(x, -1)
    tail = log(0.5 * erfcx(low * -math.sqrt(0.5))) - 0.5 * (low * low)
    return where(less(x, -1), tail, log1p(-ndtr(-high)))


# gamma functions


@pointwise(loop("gammaln"), domain=(POSITIVE,))
def gammaln(x: Any, /) -> Any:
    """Logarithm of |Γ(x)|, elementwise; inf at 0, -1, -2, ... DLMF 5.2.1."""
    return approximations.gammaln(x)


@pointwise(loop("digamma"), domain=(POSITIVE,))
def digamma(x: Any, /) -> Any:
    """Derivative of log Γ(x), elementwise; nan at -1, -2, ... DLMF 5.2.2."""
    return approximations.digamma(x)


@pointwise(loop("trigamma"), public=False, domain=(POSITIVE,))
def trigamma(x: Any, /) -> Any:
    """Derivative of digamma, elementwise; inf at 0, -1, -2, ... DLMF 5.15.1."""
    return approximations.polygamma(x, n=1)


@primitive(
    infer=pointwise_spec(approximations.polygamma),
    broadcasts=True,
    domain=(POSITIVE,),
    elementwise=True,
)
def digamma_derivative(x: Any, /, *, n: int = 1) -> Any:
    """Derivative number `n` of digamma; the op behind `polygamma`. DLMF 5.15.1."""
    return approximations.polygamma(x, n=n)


gammaln.defvjp(lambda g, y, x: g * digamma(x))
digamma.defvjp(lambda g, y, x: g * trigamma(x))
trigamma.defvjp(lambda g, y, x: g * digamma_derivative(x, n=2))
digamma_derivative.defvjp(lambda g, y, x, *, n=1: g * digamma_derivative(x, n=n + 1))


@composite
def polygamma(n: int, x: Any, /) -> Any:
    """Derivative number `n` of digamma, elementwise; digamma itself for n = 0. DLMF 5.15.

    n: a whole number from 0 on. Raises SpecError for others.
    """
    order = index_of(n)
    if order is None or not 0 <= order <= 170:
        raise SpecError(
            f"polygamma: n={said(n)} came; it counts derivatives, so it is a whole number from 0 "
            "on, and to 170, as 171! is no float64; the order of arguments is polygamma(n, x)"
        )
    if order < 2:
        return trigamma(x) if order else digamma(x)
    return digamma_derivative(x, n=order)


# logistic functions


def expit_body(b: Any, x: Value) -> Any:
    """The loop body of expit: exp of minus |x|, which cannot overflow."""
    one = b.const(1, x.dtype)
    e = b.math("exp", b.neg(b.math("abs", x)))
    return b.div(b.select(b.compare(">=", x, b.const(0, x.dtype)), one, e), b.add(one, e))


@pointwise(Pointwise(expit_body, kinds="f", cheap=False))
def expit(x: Any, /) -> Any:
    """Logistic function 1 / (1 + exp(-x)), elementwise; also known as sigmoid."""
    e = np.exp(np.copysign(x, -1))  # of minus |x|, and refuses complex numbers
    return np.where(np.greater_equal(x, 0), e.dtype.type(1), e) / (1 + e)


@pointwise(
    Pointwise(
        lambda b, x: b.math("log", b.div(x, b.sub(b.const(1, x.dtype), x))), kinds="f", cheap=False
    ),
    domain=(FRACTION,),
)
def logit(x: Any, /) -> Any:
    """log(x / (1 - x)), elementwise: the inverse of expit. -inf at 0, inf at 1."""
    with np.errstate(divide="ignore"):
        return np.log(np.true_divide(x, np.subtract(1.0, x)))


def softplus_body(b: Any, x: Value) -> Any:
    """The loop body of softplus."""
    rest = b.math("log1p", b.math("exp", b.neg(b.math("abs", x))))
    return b.add(b.math("maximum", x, b.const(0, x.dtype)), rest)


@pointwise(Pointwise(softplus_body, kinds="f", cheap=False))
def softplus(x: Any, /) -> Any:
    """log(1 + exp(x)), elementwise, without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(np.copysign(x, -1)))


expit.defvjp(lambda g, y, x: g * (y * (1 - y)))
logit.defvjp(lambda g, y, x: quotient(g, x * (1 - x)))
softplus.defvjp(lambda g, y, x: g * expit(x))


# products with logarithms


def product_body(name: str, harmless: int) -> Pointwise:
    """x times the function `name` of y, and 0 where x is 0, whatever y is but nan."""

    def body(b: Any, x: Value, y: Value) -> Any:
        masked = b.bitwise("and", b.compare("==", x, b.const(0, x.dtype)), b.compare("==", y, y))
        return b.mul(x, b.math(name, b.select(masked, b.const(harmless, y.dtype), y)))

    return Pointwise(body, kinds="f", cheap=False)


def made_harmless(x: Any, y: Any, harmless: int) -> Any:
    """`y`, but `harmless` where `x` is 0 and `y` is not nan."""
    dtype = np.result_type(x, y)
    return np.where(np.equal(x, 0) & np.equal(y, y), dtype.type(harmless), np.asarray(y, dtype))


@pointwise(product_body("log", 1), domain=(None, POSITIVE))
def xlogy(x1: Any, x2: Any, /) -> Any:
    """x1 log(x2), elementwise, and 0 where x1 is 0, even if x2 is 0 too."""
    return np.multiply(x1, np.log(made_harmless(x1, x2, 1)))


@pointwise(product_body("log1p", 0), domain=(None, Domain(-0.7, 3.0)))
def xlog1py(x1: Any, x2: Any, /) -> Any:
    """x1 log(1 + x2), elementwise, and 0 where x1 is 0, even if x2 is -1."""
    return np.multiply(x1, np.log1p(made_harmless(x1, x2, 0)))


xlogy.defvjp(
    lambda g, y, x1, x2: xlogy(g, x2),
    lambda g, y, x1, x2: quotient(g * x1, x2),
)
xlog1py.defvjp(
    lambda g, y, x1, x2: xlog1py(g, x2),
    lambda g, y, x1, x2: quotient(g * x1, 1 + x2),
)


@composite
def entr(x: Any, /) -> Any:
    """-x log(x), elementwise, 0 at 0 and -inf below: the terms of an entropy in nats."""
    x = as_tensor(x)
    return where(less(x, 0), -math.inf, -xlogy(x, x))


# what SciPy has under these names, written in the others


@composite
def log_expit(x: Any, /) -> Any:
    """Logarithm of expit(x), elementwise, exact also where expit underflows. SciPy: log_expit."""
    return -softplus(-as_tensor(x))


@composite
def rel_entr(x: Any, y: Any, /) -> Any:
    """x log(x / y), elementwise; 0 for x = 0 <= y, and inf outside of that. SciPy: rel_entr."""
    x, y = as_tensor(x), as_tensor(y)
    inside = logical_and(greater(x, 0), greater(y, 0))
    # each gets an argument it can bear, so that what is cut off leaves no nan in the derivative
    p, q = where(inside, x, 1), where(inside, y, 1)
    z = where(inside, p * log(p / q), math.inf)
    z = where(logical_and(equal(x, 0), greater_equal(y, 0)), 0, z)
    return where(isnan(x + y), math.nan, z)


@composite
def kl_div(x: Any, y: Any, /) -> Any:
    """rel_entr(x, y) - x + y, elementwise, which is at least 0. SciPy: kl_div."""
    x, y = as_tensor(x), as_tensor(y)
    return rel_entr(x, y) - x + y
