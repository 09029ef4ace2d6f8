"""minigrad: a tape-based autodiff library of tensors, and of the border between traced and opaque.

`GradientTape` records; `function` traces; `jit_compile=True` fuses and compiles; `py_function`
keeps Python on tensors differentiable; `numpy_function` takes NumPy code in, opaque and honest.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import errors
from .concrete import ConcreteFunction
from .control import cond, fori_loop, switch, while_loop
from .core.spec import DTYPES as _DTYPES
from .core.spec import Spec as TensorSpec
from .core.tensor import Tensor
from .custom import custom_gradient, init_scope, recompute_grad
from .explain import Explanation
from .function import Function, function
from .functional import grad, hessian, hvp, jacobian, value_and_grad, vjp
from .graph import Graph, executing_eagerly
from .interop import numpy_function, py_function
from .module import Module
from .neighbours import attributes as _attributes  # noqa: F401  (tensors say what they lack)
from .neighbours import einops as _einops  # noqa: F401  (einops finds its backend there)
from .neighbours import protocols as _protocols  # noqa: F401  (NumPy's, answered from there)
from .neighbours.surface import surface as _surface
from .ops.accumulate import cumulative_prod, cumulative_sum, diff
from .ops.along import argsort, sort, take_along_axis
from .ops.arithmetic import (
    abs,
    add,
    ceil,
    conj,
    divide,
    floor,
    floor_divide,
    imag,
    multiply,
    negative,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    square,
    subtract,
    trunc,
)
from .ops.at import At
from .ops.axes import (
    expand_dims,
    flip,
    matrix_transpose,
    moveaxis,
    permute_dims,
    squeeze,
    swapaxes,
)
from .ops.broadcast import broadcast_arrays, broadcast_shapes, broadcast_to, meshgrid, sum
from .ops.computed import computed_range as _computed_range  # noqa: F401  (of `arange` and slices)
from .ops.create import (
    arange,
    asarray,
    constant,
    convert_to_tensor,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    is_tensor,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from .ops.dtypes import can_cast, finfo, iinfo, isdtype, result_type
from .ops.einsum import einsum
from .ops.exponential import (
    exp,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    sqrt,
)
from .ops.index import take
from .ops.join import concat, repeat, roll, split, stack, tile, unstack
from .ops.linalg import matmul, tensordot, vecdot
from .ops.logic import (
    astype,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    clip,
    copysign,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    nextafter,
    not_equal,
    signbit,
    where,
)
from .ops.margins import pad, tril, triu
from .ops.places import argmax, argmin
from .ops.reduce import all, any, count_nonzero, max, mean, min, prod, std, var
from .ops.search import (
    isin,
    nonzero,
    searchsorted,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)
from .ops.shape import ensure_shape, identity, reshape, shape
from .ops.stop import stop_gradient
from .ops.trigonometric import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    sin,
    sinh,
    tan,
    tanh,
)
from .ranks import at_known_rank as _at_known_rank  # noqa: F401  (waits for ranks)
from .scan import map, scan
from .tape import GradientTape, UnconnectedGradients
from .variable import Variable

if _TYPE_CHECKING:  # for checkers and editors; at run time `surface` does it
    from . import (
        debug,
        define,
        fft,
        linalg,
        nn,
        optimizers,
        random,
        saved_model,
        special,
        testing,
        visualize,
    )
    from .batching import vmap
    from .forward import jvp
    from .inspection import __array_namespace_info__

__version__ = "0.1.0"
__array_api_version__ = "2025.12"

bool = _DTYPES["bool"]
int8, int16, int32, int64 = (_DTYPES[f"int{n}"] for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (_DTYPES[f"uint{n}"] for n in (8, 16, 32, 64))
float16, float32, float64 = (_DTYPES[f"float{n}"] for n in (16, 32, 64))
complex64, complex128 = (_DTYPES[f"complex{n}"] for n in (64, 128))

e = 2.718281828459045
pi = 3.141592653589793
inf = float("inf")
nan = float("nan")
newaxis = None

# fmt: off
__all__ = [
    "At", "ConcreteFunction", "Explanation", "Function", "GradientTape", "Graph", "Module",
    "Tensor", "TensorSpec", "UnconnectedGradients", "Variable", "__array_api_version__",
    "__array_namespace_info__", "__version__", "abs", "acos", "acosh", "add", "all", "any",
    "arange", "argmax", "argmin", "argsort", "asarray", "asin", "asinh", "astype", "atan", "atan2",
    "atanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "bool", "broadcast_arrays", "broadcast_shapes",
    "broadcast_to", "can_cast", "ceil", "clip", "complex64", "complex128", "concat", "cond",
    "conj", "constant", "convert_to_tensor", "copysign", "cos", "cosh", "count_nonzero",
    "cumulative_prod", "cumulative_sum", "custom_gradient", "debug", "define", "diff", "divide",
    "e", "einsum", "empty", "empty_like", "ensure_shape", "equal", "errors", "executing_eagerly",
    "exp", "expand_dims", "expm1", "eye", "fft", "finfo", "flip", "float16", "float32", "float64",
    "floor", "floor_divide", "fori_loop", "from_dlpack", "full", "full_like", "function", "grad",
    "greater", "greater_equal", "hessian", "hvp", "hypot", "identity", "iinfo", "imag", "inf",
    "init_scope", "int8", "int16", "int32", "int64", "is_tensor", "isdtype", "isfinite", "isin",
    "isinf", "isnan", "jacobian", "jvp", "less", "less_equal", "linalg", "linspace", "log",
    "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "map", "matmul", "matrix_transpose", "max", "maximum", "mean", "meshgrid",
    "min", "minimum", "moveaxis", "multiply", "nan", "negative", "newaxis", "nextafter", "nn",
    "nonzero", "not_equal", "numpy_function", "ones", "ones_like", "optimizers", "pad",
    "permute_dims", "pi", "positive", "pow", "prod", "py_function", "random", "real", "reciprocal",
    "recompute_grad", "remainder", "repeat", "reshape", "result_type", "roll", "round",
    "saved_model", "scan", "searchsorted", "shape", "sign", "signbit", "sin", "sinh", "sort",
    "special", "split", "sqrt", "square", "squeeze", "stack", "std", "stop_gradient", "subtract",
    "sum", "swapaxes", "switch", "take", "take_along_axis", "tan", "tanh", "tensordot", "testing",
    "tile", "tril", "triu", "trunc", "uint8", "uint16", "uint32", "uint64", "unique_all",
    "unique_counts", "unique_inverse", "unique_values", "unstack", "value_and_grad", "var",
    "vecdot", "visualize", "vjp", "vmap", "where", "while_loop", "zeros", "zeros_like",
]
# fmt: on

# what is loaded when it is first named: `import minigrad` stays quick
_NAMESPACES = (
    *("debug", "define", "fft", "linalg", "nn", "optimizers", "random", "saved_model", "special"),
    *("testing", "visualize"),
)
_FUNCTIONS = {"__array_namespace_info__": "inspection", "jvp": "forward", "vmap": "batching"}
_LATER = {**{name: name for name in _NAMESPACES}, **_FUNCTIONS}
_surface(__name__, __all__, {name: f"{__name__}.{file}" for name, file in _LATER.items()})
