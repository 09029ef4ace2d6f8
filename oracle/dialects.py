"""Both frameworks under minigrad's names, as far as the scenarios use them.

A framework is imported where its dialect is made, for a process has only one of them.
"""

from collections.abc import Callable
from typing import Any


class Minigrad:
    """minigrad, and the few questions that each framework answers in its own way."""

    def __init__(self) -> None:
        import minigrad

        self._mg = minigrad

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mg, name)

    def trace_count_of(self, f: Any) -> int:
        """How often a function has been traced."""
        return int(f.trace_count)

    def dims(self, x: Any) -> Any:
        """What is known of a shape, as a tuple; a text where nothing is."""
        return "unknown rank" if x.shape is None else tuple(x.shape)

    def name_of_dtype(self, x: Any) -> str:
        """The dtype of a tensor, by name."""
        return str(x.dtype)

    def accumulate(self, f: Callable[[Any, Any], Any], xs: Any, first: Any) -> Any:
        """`f` folded along the first axis of `xs`; all that was carried, stacked."""
        return self._mg.scan(lambda carry, x: (f(carry, x),) * 2, first, xs)[1]

    def set_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with some of its rows replaced."""
        return x.at[self._mg.asarray(places)].set(rows)

    def add_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with something added to some of its rows."""
        return x.at[self._mg.asarray(places)].add(rows)

    def max_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with the elementwise maximum of some of its rows and others."""
        return x.at[self._mg.asarray(places)].max(rows)

    def concrete(self, f: Any, *specs: Any) -> Any:
        """The function for one signature."""
        return f.get_concrete_function(*specs)

    def save(self, model: Any, path: Any) -> None:
        """Write a model to a file."""
        self._mg.saved_model.save(model, str(path) + ".mg")

    def load(self, path: Any) -> Any:
        """Read a model from a file."""
        return self._mg.saved_model.load(str(path) + ".mg")

    def special_function(self, name: str) -> Any:
        """One of the special functions."""
        return getattr(self._mg.special, name)

    def singular_values(self, x: Any) -> Any:
        """The singular values of matrices, the largest first."""
        return self._mg.linalg.svdvals(x)

    def transform(self, name: str) -> Any:
        """One of the discrete Fourier transforms."""
        return getattr(self._mg.fft, name)

    def optimizer(self, kind: str, rate: float, **options: Any) -> Any:
        """An optimizer, by name."""
        return getattr(self._mg.optimizers, kind)(rate, **options)

    def clip_by_global_norm(self, tensors: Any, norm: float) -> Any:
        """Tensors scaled down together, and the norm that they had."""
        return self._mg.optimizers.clip_by_global_norm(tensors, norm)

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Of rows of logits, by places or by probabilities."""
        return self._mg.nn.softmax_cross_entropy(logits, labels)

    def sigmoid_cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Of single logits."""
        return self._mg.nn.sigmoid_cross_entropy(logits, labels)

    def one_hot(self, places: Any, depth: int) -> Any:
        """Rows of one 1."""
        return self._mg.nn.one_hot(places, depth)

    def pool(self, kind: str, x: Any, size: int, strides: int) -> Any:
        """The largest, or the mean, of windows of an image."""
        return getattr(self._mg.nn, f"{kind}_pool2d")(x, size, strides)


# where TensorFlow has what the scenarios name
ELSEWHERE = (
    "math.conj math.real math.imag math.log1p math.expm1 math.floor math.ceil math.rint "
    "math.erf math.erfc math.digamma math.reciprocal math.invert_permutation math.atan2 "
    "math.log"
)
RENAMED = {
    "sum": "reduce_sum",
    "prod": "reduce_prod",
    "max": "reduce_max",
    "min": "reduce_min",
    "mean": "reduce_mean",
    "any": "reduce_any",
    "all": "reduce_all",
    "var": "math.reduce_variance",
    "std": "math.reduce_std",
    "logsumexp": "reduce_logsumexp",
    "astype": "cast",
    "asarray": "convert_to_tensor",
    "permute_dims": "transpose",
    "matrix_transpose": "linalg.matrix_transpose",
    "flip": "reverse",
    "clip": "clip_by_value",
    "cumulative_sum": "cumsum",
    "cumulative_prod": "math.cumprod",
    "arange": "range",
    "full": "fill",
    "remainder": "math.floormod",
    "floor_divide": "math.floordiv",
    "switch": "switch_case",
    "map": "map_fn",
}


class TensorFlow:
    """TensorFlow under minigrad's names."""

    def __init__(self) -> None:
        import tensorflow

        self._tf = tensorflow
        self._places = {path.split(".")[-1]: path for path in ELSEWHERE.split()}
        self._places.update(RENAMED)

    def __getattr__(self, name: str) -> Any:
        found = self._tf
        for part in self._places.get(name, name).split("."):
            found = getattr(found, part)
        return found

    def function(self, func: Any = None, **options: Any) -> Any:
        """A traced function; without AutoGraph, which rewrites the source first."""
        options = {"autograph": False, **options}
        if func is None:
            return lambda body: self._tf.function(body, **options)
        return self._tf.function(func, **options)

    def take(self, x: Any, indices: Any, axis: int = 0) -> Any:
        """Slices along an axis."""
        return self._tf.gather(x, indices, axis=axis)

    def take_along_axis(self, x: Any, indices: Any, axis: int = -1) -> Any:
        """One element of each row."""
        return self._tf.gather(x, indices, axis=axis, batch_dims=len(x.shape) - 1)

    def trace_count_of(self, f: Any) -> int:
        """How often a function has been traced."""
        return int(f.experimental_get_tracing_count())

    def dims(self, x: Any) -> Any:
        """What is known of a shape, as a tuple; a text where nothing is."""
        return "unknown rank" if x.shape.rank is None else tuple(x.shape.as_list())

    def name_of_dtype(self, x: Any) -> str:
        """The dtype of a tensor, by name."""
        return str(x.dtype.name)

    def accumulate(self, f: Callable[[Any, Any], Any], xs: Any, first: Any) -> Any:
        """`f` folded along the first axis of `xs`; all that was carried, stacked."""
        return self._tf.scan(f, xs, initializer=first)

    def set_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with some of its rows replaced."""
        return self._tf.tensor_scatter_nd_update(x, [[i] for i in places], rows)

    def add_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with something added to some of its rows."""
        return self._tf.tensor_scatter_nd_add(x, [[i] for i in places], rows)

    def max_rows(self, x: Any, places: Any, rows: Any) -> Any:
        """`x` with the elementwise maximum of some of its rows and others."""
        return self._tf.tensor_scatter_nd_max(x, [[i] for i in places], rows)

    def concrete(self, f: Any, *specs: Any) -> Any:
        """The function for one signature."""
        return f.get_concrete_function(*specs)

    def save(self, model: Any, path: Any) -> None:
        """Write a model to a folder."""
        self._tf.saved_model.save(model, str(path))

    def load(self, path: Any) -> Any:
        """Read a model from a folder."""
        return self._tf.saved_model.load(str(path))

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
        """The value of `f`, and its derivative along the tangents."""
        with self._tf.autodiff.ForwardAccumulator(list(primals), list(tangents)) as forward:
            y = f(*primals)
        return y, forward.jvp(y)

    def vmap(self, f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`f` of many examples at once."""
        return lambda xs: self._tf.vectorized_map(f, xs)

    def singular_values(self, x: Any) -> Any:
        """The singular values of matrices, the largest first."""
        return self._tf.linalg.svd(x, compute_uv=False)

    def transform(self, name: str) -> Any:
        """One of the discrete Fourier transforms."""
        return getattr(self._tf.signal, name)

    def special_function(self, name: str) -> Any:
        """One of the special functions."""
        math = self._tf.math
        named = {"gammaln": math.lgamma, "expit": math.sigmoid, "erfinv": math.erfinv}
        return named.get(name) or getattr(math, name)

    def optimizer(self, kind: str, rate: float, **options: Any) -> Any:
        """An optimizer of Keras, by name."""
        spelled = {
            "beta1": "beta_1",
            "beta2": "beta_2",
            "eps": "epsilon",
            "initial": "initial_accumulator_value",
        }
        options = {spelled.get(key, key): value for key, value in options.items()}
        return getattr(self._tf.keras.optimizers, kind)(rate, **options)

    def cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Of rows of logits, by places or by probabilities."""
        if labels.dtype.is_integer:
            nn = self._tf.nn.sparse_softmax_cross_entropy_with_logits
            return nn(labels=labels, logits=logits)
        return self._tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)

    def sigmoid_cross_entropy(self, logits: Any, labels: Any) -> Any:
        """Of single logits."""
        return self._tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)

    def pool(self, kind: str, x: Any, size: int, strides: int) -> Any:
        """The largest, or the mean, of windows of an image."""
        return getattr(self._tf.nn, f"{kind}_pool2d")(x, size, strides, "VALID")


DIALECTS = {"minigrad": Minigrad, "tensorflow": TensorFlow}
