"""Special functions, elementwise: error, gamma and logistic functions, products with logarithms.

Accurate to a few units in the last place of float64; float16 and float32 are computed through
float64. All have derivatives of any order; integers give float64, complex numbers are refused.
"""

from .neighbours.surface import surface
from .ops.exponential import rsqrt
from .ops.special_functions import (
    digamma,
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    expit,
    gammaln,
    kl_div,
    log_expit,
    log_ndtr,
    logit,
    ndtr,
    polygamma,
    rel_entr,
    softplus,
    xlog1py,
    xlogy,
)

psi = digamma  # SciPy's name

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "expit",
    "gammaln",
    "kl_div",
    "log_expit",
    "log_ndtr",
    "logit",
    "ndtr",
    "polygamma",
    "psi",
    "rel_entr",
    "rsqrt",
    "softplus",
    "xlog1py",
    "xlogy",
]
surface(__name__, __all__)
