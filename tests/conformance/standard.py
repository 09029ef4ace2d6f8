"""The array API standard 2025.12 as a table: its names and signatures."""

import inspect
from typing import Any

VERSION = "2025.12"

CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)

UNARY = """
    abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag
    isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round
    sign signbit sin sinh square sqrt tan tanh trunc
"""

BINARY = """
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign
    divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and
    logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
"""

REDUCTIONS = ("all", "any", "count_nonzero", "max", "mean", "min")

# as they are written in the standard, but for the types
WRITTEN = """
    arange(start, /, stop=None, step=1, *, dtype=None, device=None)
    asarray(obj, /, *, dtype=None, device=None, copy=None)
    empty(shape, *, dtype=None, device=None)
    empty_like(x, /, *, dtype=None, device=None)
    eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
    from_dlpack(x, /, *, device=None, copy=None)
    full(shape, fill_value, *, dtype=None, device=None)
    full_like(x, /, fill_value, *, dtype=None, device=None)
    linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
    meshgrid(*arrays, indexing="xy")
    ones(shape, *, dtype=None, device=None)
    ones_like(x, /, *, dtype=None, device=None)
    tril(x, /, *, k=0)
    triu(x, /, *, k=0)
    zeros(shape, *, dtype=None, device=None)
    zeros_like(x, /, *, dtype=None, device=None)

    astype(x, dtype, /, *, copy=True, device=None)
    can_cast(from_, to, /)
    finfo(type, /)
    iinfo(type, /)
    isdtype(dtype, kind)
    result_type(*arrays_and_dtypes)

    clip(x, /, min=None, max=None)
    where(condition, x1, x2, /)

    take(x, indices, /, *, axis=None)
    take_along_axis(x, indices, /, *, axis=-1)

    matmul(x1, x2, /)
    matrix_transpose(x, /)
    tensordot(x1, x2, /, *, axes=2)
    vecdot(x1, x2, /, *, axis=-1)

    broadcast_arrays(*arrays)
    broadcast_shapes(*shapes)
    broadcast_to(x, /, shape)
    concat(arrays, /, *, axis=0)
    expand_dims(x, /, axis)
    flip(x, /, *, axis=None)
    moveaxis(x, source, destination, /)
    permute_dims(x, /, axes)
    repeat(x, repeats, /, *, axis=None)
    reshape(x, /, shape, *, copy=None)
    roll(x, /, shift, *, axis=None)
    squeeze(x, /, axis)
    stack(arrays, /, *, axis=0)
    tile(x, repetitions, /)
    unstack(x, /, *, axis=0)

    argmax(x, /, *, axis=None, keepdims=False)
    argmin(x, /, *, axis=None, keepdims=False)
    nonzero(x, /)
    searchsorted(x1, x2, /, *, side="left", sorter=None)

    isin(x1, x2, /, *, invert=False)
    unique_all(x, /)
    unique_counts(x, /)
    unique_inverse(x, /)
    unique_values(x, /)

    argsort(x, /, *, axis=-1, descending=False, stable=True)
    sort(x, /, *, axis=-1, descending=False, stable=True)

    cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
    cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
    prod(x, /, *, axis=None, dtype=None, keepdims=False)
    std(x, /, *, axis=None, correction=0.0, keepdims=False)
    sum(x, /, *, axis=None, dtype=None, keepdims=False)
    var(x, /, *, axis=None, correction=0.0, keepdims=False)

    diff(x, /, *, axis=-1, n=1, prepend=None, append=None)

    __array_namespace_info__()
"""

FUNCTIONS = [
    *[f"{name}(x, /)" for name in UNARY.split()],
    *[f"{name}(x1, x2, /)" for name in BINARY.split()],
    *[f"{name}(x, /, *, axis=None, keepdims=False)" for name in REDUCTIONS],
    *[line.strip() for line in WRITTEN.splitlines() if line.strip()],
]

LINALG = """
    cholesky(x, /, *, upper=False)
    cross(x1, x2, /, *, axis=-1)
    det(x, /)
    diagonal(x, /, *, offset=0)
    eig(x, /)
    eigh(x, /)
    eigvals(x, /)
    eigvalsh(x, /)
    inv(x, /)
    matmul(x1, x2, /)
    matrix_norm(x, /, *, keepdims=False, ord="fro")
    matrix_power(x, n, /)
    matrix_rank(x, /, *, rtol=None)
    matrix_transpose(x, /)
    outer(x1, x2, /)
    pinv(x, /, *, rtol=None)
    qr(x, /, *, mode="reduced")
    slogdet(x, /)
    solve(x1, x2, /)
    svd(x, /, *, full_matrices=True)
    svdvals(x, /)
    tensordot(x1, x2, /, *, axes=2)
    trace(x, /, *, offset=0, dtype=None)
    vecdot(x1, x2, /, *, axis=-1)
    vector_norm(x, /, *, axis=None, keepdims=False, ord=2)
"""

FFT = [
    *[
        f'{name}(x, /, *, n=None, axis=-1, norm="backward")'
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    ],
    *[
        f'{name}(x, /, *, s=None, axes=None, norm="backward")'
        for name in ("fftn", "ifftn", "rfftn", "irfftn")
    ],
    *[f"{name}(n, /, *, d=1.0, dtype=None, device=None)" for name in ("fftfreq", "rfftfreq")],
    *[f"{name}(x, /, *, axes=None)" for name in ("fftshift", "ifftshift")],
]

EXTENSIONS = [
    *[("linalg", line.strip()) for line in LINALG.splitlines() if line.strip()],
    *[("fft", line) for line in FFT],
]

INSPECTION = [
    "capabilities()",
    "default_device()",
    "default_dtypes(*, device=None)",
    "devices()",
    "dtypes(*, device=None, kind=None)",
]

ATTRIBUTES = ("T", "device", "dtype", "mT", "ndim", "shape", "size")

OPERATORS = (
    *("add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub"),
    *("truediv", "xor"),
)
COMPARISONS = ("eq", "ge", "gt", "le", "lt", "ne")

METHODS = [
    *[f"__{name}__(self, /)" for name in ("abs", "invert", "neg", "pos")],
    *[f"__{name}__(self, /)" for name in ("bool", "complex", "float", "index", "int")],
    *[f"__{name}__(self, other, /)" for name in (*OPERATORS, *COMPARISONS)],
    *[f"__r{name}__(self, other, /)" for name in OPERATORS],
    "__array_namespace__(self, /, *, api_version=None)",
    "__dlpack__(self, /, *, stream=None, max_version=None, dl_device=None, copy=None)",
    "__dlpack_device__(self, /)",
    "__getitem__(self, key, /)",
    "__setitem__(self, key, value, /)",
    "to_device(self, device, /, *, stream=None)",
]


def parsed(line: str) -> tuple[str, inspect.Signature]:
    """The name and signature of a line of the tables above."""
    space: dict[str, Any] = {}
    exec(f"def {line}: ...", space)
    name = line.partition("(")[0]
    return name, inspect.signature(space[name])


def departures(ours: inspect.Signature, standard: inspect.Signature) -> list[str]:
    """Where calls that the standard allows would not mean the same by our signature.

    We may take more arguments, if they have defaults; by position what need not be; and without
    an argument that must be given.
    """
    found = []
    mine, empty = dict(ours.parameters), inspect.Parameter.empty
    positional = [p for p in mine.values() if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    for place, wanted in enumerate(standard.parameters.values()):
        by_place = wanted.kind not in (wanted.KEYWORD_ONLY, wanted.VAR_KEYWORD)
        by_name = wanted.kind in (wanted.KEYWORD_ONLY, wanted.POSITIONAL_OR_KEYWORD)
        got = mine.get(wanted.name)
        if by_place and not by_name:
            got = positional[place] if place < len(positional) else None
        if got is None:
            found.append(f"{wanted} is missing")
            continue
        mine.pop(got.name)
        if by_place and got is not (positional[place] if place < len(positional) else None):
            found.append(f"{wanted} is not at place {place}")
        if by_name and got.kind is got.POSITIONAL_ONLY:
            found.append(f"{wanted} is not taken by name")
        if (wanted.kind is wanted.VAR_POSITIONAL) != (got.kind is got.VAR_POSITIONAL):
            found.append(f"{wanted} is {got}")
        if wanted.default is not empty and got.default != wanted.default:
            found.append(f"{wanted} is {got.name}={got.default!r} by default")
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    required = [p.name for p in mine.values() if p.default is empty and p.kind not in optional]
    return found + [f"{name} must be given" for name in required]
