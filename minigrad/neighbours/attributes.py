"""Attributes that tensors of other libraries have, and what they are here."""

from __future__ import annotations

from typing import Any, NoReturn

from ..core.tensor import Tensor

STAYS = "x itself, which never changes and is on the CPU, or v.value() of a Variable"
NEW = "x = x + 1, or x = x.at[i].set(y), as a tensor never changes, or v.assign(y) of a Variable"
SLOPE = "mg.grad(f)(x), or tape.gradient(y, x) of a mg.GradientTape"
# methods elsewhere that are functions of that name
ALIKE = (
    *("abs", "all", "any", "argmax", "argmin", "argsort", "ceil", "clip", "conj", "cos", "exp"),
    *("floor", "imag", "isnan", "log", "max", "mean", "min", "nonzero", "pow", "prod", "real"),
    *("repeat", "round", "sign", "sin", "sort", "split", "sqrt", "square", "squeeze", "std", "sum"),
    *("swapaxes", "take", "tanh", "tile", "tril", "triu", "var"),
)
RENAMED = {
    **{"clamp": "clip", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum"},
    **{"diagonal": "linalg.diagonal", "norm": "linalg.vector_norm"},
    **{"expand": "broadcast_to", "gather": "take", "index_select": "take"},
    **{"permute": "permute_dims", "transpose": "permute_dims", "unsqueeze": "expand_dims"},
    **{"relu": "nn.relu", "sigmoid": "special.expit", "softmax": "nn.softmax"},
}
IN_PLACE = ("add_", "clamp_", "copy_", "div_", "fill", "fill_", "mul_", "put", "sub_", "zero_")

# what another library asks of a tensor, and what to write
ATTRIBUTES = {
    **{name: f"mg.{name}(x)" for name in ALIKE},
    **{name: f"mg.{here}" for name, here in RENAMED.items()},
    **dict.fromkeys(IN_PLACE, NEW),
    **dict.fromkeys(("backward", "grad"), SLOPE),
    **dict.fromkeys(("clone", "contiguous", "copy", "cpu", "block_until_ready"), STAYS),
    **dict.fromkeys(("requires_grad", "requires_grad_"), "tape.watch(x) of a mg.GradientTape"),
    **dict.fromkeys(("assign", "assign_add", "assign_sub"), "mg.Variable(x), which is assigned"),
    **dict.fromkeys(("dot", "matmul", "mm"), "x @ y"),
    **dict.fromkeys(("numel", "nelement"), "x.size"),
    **dict.fromkeys(("reshape", "view"), "mg.reshape(x, shape)"),
    **dict.fromkeys(("flatten", "ravel"), "mg.reshape(x, (-1,))"),
    **dict.fromkeys(("astype", "float", "type", "to"), "mg.astype(x, mg.float32)"),
    **dict.fromkeys(("data", "eval"), "x.numpy()"),
    "H": "mg.conj(x).mT",
    "bool": "mg.astype(x, mg.bool)",
    "detach": "mg.stop_gradient(x)",
    "dim": "x.ndim",
    "double": "mg.astype(x, mg.float64)",
    "get_shape": "x.shape",
    "grad_fn": "tape.explain(y, x)",
    "half": "mg.astype(x, mg.float16)",
    "int": "mg.astype(x, mg.int32)",
    "itemsize": "x.dtype.itemsize",
    "long": "mg.astype(x, mg.int64)",
    "nbytes": "x.size * x.dtype.itemsize",
    "t": "x.mT",
    "tobytes": "x.numpy().tobytes()",
    "tolist": "x.numpy().tolist()",
}


def no_attribute(name: str) -> str:
    """What to say of one of ATTRIBUTES."""
    return (
        f"a tensor has no attribute {name!r}: it has those of the array API standard, others are "
        f"functions; write {ATTRIBUTES[name]}"
    )


class NotHere:
    """An attribute that other libraries' tensors have and ours do not: asking for it says so.

    A `__getattr__` would see all names; but with one, every attribute takes longer to look up.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, x: Any, owner: type) -> NoReturn:
        raise AttributeError(no_attribute(self.name), name=self.name, obj=x)


def listed_attributes(x: Tensor) -> list[str]:
    """The attributes that a tensor has."""
    return sorted({*object.__dir__(x)} - ATTRIBUTES.keys())


for _name in ATTRIBUTES:
    type.__setattr__(Tensor, _name, NotHere(_name))  # unknown to type checkers, as it is not there
type.__setattr__(Tensor, "__dir__", listed_attributes)
