"""Names that people bring from TensorFlow, PyTorch, JAX and NumPy, and what they are here."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

# what another library says, and what to write; loaded when a name is not found
ELSEWHERE = {
    **{f"reduce_{name}": name for name in ("all", "any", "max", "mean", "min", "prod", "sum")},
    **{f"reduce_{new}": old for new, old in (("std", "std"), ("variance", "var"))},
    **{f"arc{name}": f"a{name}" for name in ("cos", "cosh", "sin", "sinh", "tan", "tanh", "tan2")},
    "absolute": "abs",
    "add_n": "sum(mg.stack(xs), axis=0)",
    "amax": "max",
    "amin": "min",
    "around": "round",
    "array": "constant",
    "as_tensor": "asarray",
    "bitwise_not": "bitwise_invert",
    "boolean_mask": "asarray(x)[mask]",
    "cast": "astype",
    "cat": "concat",
    "ceiling": "ceil",
    "checkpoint": "recompute_grad",
    "clip_by_value": "clip",
    "concatenate": "concat",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "dot": "matmul or mg.vecdot",
    "erf": "special.erf",
    "fill": "full",
    "from_numpy": "asarray",
    "gather": "take",
    "gather_nd": "asarray(x)[i, j]",
    "gelu": "nn.gelu",
    "invert": "bitwise_invert",
    "jacfwd": "jacobian",
    "jacrev": "jacobian",
    "jit": "function(jit_compile=True)",
    "keras": "nn, mg.optimizers or mg.Module",
    "lgamma": "special.gammaln",
    "log_softmax": "nn.log_softmax",
    "logsumexp": "nn.logsumexp",
    "mm": "matmul",
    "mod": "remainder",
    "mul": "multiply",
    "neg": "negative",
    "no_grad": "stop_gradient",
    "norm": "linalg.vector_norm",
    "one_hot": "nn.one_hot",
    "power": "pow",
    "range": "arange",
    "relu": "nn.relu",
    "rsqrt": "special.rsqrt",
    "sigmoid": "special.expit",
    "softmax": "nn.softmax",
    "softplus": "nn.softplus",
    "sub": "subtract",
    "tensor": "constant",
    "tensor_scatter_nd_update": "asarray(x).at[i].set(v)",
    "train": "optimizers",
    "transpose": "permute_dims",
    "true_divide": "divide",
    "unsqueeze": "expand_dims",
    "value_and_gradient": "value_and_grad",
    "view": "reshape",
}


def unknown(name: str, names: Sequence[str]) -> str:
    """What to say of a name that minigrad does not have; `names` are those that it has."""
    if name.startswith("_"):
        return f"minigrad has no {name!r}"
    found = ELSEWHERE.get(name)
    near = [found] if found else get_close_matches(name, names, 2, 0.75)
    hint = f"write {' or '.join(f'mg.{one}' for one in near)}; " if near else ""
    return f"minigrad has no {name!r}; {hint}dir(minigrad) lists what it has"
