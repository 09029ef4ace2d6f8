"""What the strategies are made of: shapes, numbers of a domain, axes, and keys of indexing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.define import Domain
from ..core.spec import DTYPES
from ..ops.slice import ARRAY, FULL
from .applications import Array
from .extra import st

Shape = tuple[int, ...]
Drawn = tuple[tuple[Any, ...], dict[str, Any]]
EVERYWHERE = Domain()
FLOATS = tuple(DTYPES[name] for name in ("float32", "float64"))
INTEGERS = tuple(dtype for dtype in DTYPES.values() if dtype.kind in "iu")
ANY = tuple(DTYPES.values())
MARGIN = 0.05  # how far smooth points stay from kinks


class Pen:
    """Draws one application: arrays of its dtypes, and everything that has to fit them.

    dtypes: to choose from, for each array that may be of any. smooth: no element equals another,
    none is on a kink, and no dim is 0, so that derivatives exist; else also 0, inf, nan, extremes.
    """

    def __init__(
        self,
        draw: Callable[[st.SearchStrategy[Any]], Any],
        dtypes: Sequence[np.dtype[Any]],
        *,
        smooth: bool,
    ) -> None:
        self.draw = draw
        self.dtypes = dtypes
        self.smooth = smooth
        self._arrays = 0

    def of(self, *choices: Any) -> Any:
        """One of `choices`; the first is the simplest."""
        return self.draw(st.sampled_from(choices))

    def count(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return int(self.draw(st.integers(low, high)))

    def dtype(self) -> np.dtype[Any]:
        """One of the dtypes."""
        found: np.dtype[Any] = self.of(*self.dtypes)
        return found

    # shapes

    def dim(self) -> int:
        """The length of an axis."""
        return int(self.of(2, 1, 3) if self.smooth else self.of(2, 1, 3, 0))

    def shape(self, low: int = 0, high: int = 3) -> Shape:
        """A shape of `low` to `high` axes."""
        return tuple([self.dim() for _ in range(self.count(low, high))])

    def part_of(self, shape: Shape, *, rank: int = 0) -> Shape:
        """A shape that broadcasts to `shape`, with at least `rank` axes."""
        dropped = self.count(0, max(0, len(shape) - rank))
        return tuple([self.of(n, 1) for n in shape[dropped:]])

    def reshaped(self, shape: Shape) -> Shape:
        """Another shape of as many elements."""
        dims = list(self.draw(st.permutations(shape)))
        if len(dims) > 1 and self.of(True, False):
            dims[:2] = [dims[0] * dims[1]]
        if self.of(True, False):
            dims.insert(self.count(0, len(dims)), 1)
        return tuple(dims)

    # axes

    def axis(self, rank: int) -> int:
        """One of `rank` axes, from the front."""
        return self.count(0, rank - 1)

    def some_axes(self, rank: int) -> Shape:
        """Some of `rank` axes, sorted."""
        return tuple([axis for axis in range(rank) if self.of(True, False)])

    def axes(self, rank: int) -> Shape | None:
        """Some of `rank` axes, sorted, or None for all."""
        found: Shape | None = self.of(None, self.some_axes(rank))
        return found

    # arrays

    def array(self, shape: Shape, dtype: Any = None, domain: Domain | None = None) -> Array:
        """Numbers of the domain (None: all), of `dtype` (None: one of this pen's)."""
        dtype = self.dtype() if dtype is None else np.dtype(dtype)
        n = int(np.prod(shape, dtype=np.int64))
        parts = 2 if dtype.kind == "c" else 1
        drawn = np.frombuffer(self.draw(st.binary(min_size=parts * n, max_size=parts * n)), "u1")
        self._arrays += 1
        if self.smooth:
            values = self._distinct(drawn[:n], domain or EVERYWHERE)
        else:
            values = any_numbers(drawn[:n], dtype, domain or EVERYWHERE)
        if dtype.kind == "c":
            # near the real line: there are no cuts and poles in the domains' neighbourhood
            values = values + 0.4j * (drawn[n:] / 127.5 - 1)
        with np.errstate(all="ignore"):
            return values.reshape(shape).astype(dtype)

    def _distinct(self, drawn: Array, domain: Domain) -> Array:
        """A number of the domain for each byte, with a small part of it decided by the place."""
        grid, step = points(domain)
        places = np.arange(1, drawn.size + 1) / (drawn.size + 1)
        values = grid[drawn] + 0.9 * step * (places + self._arrays / 8) / 2
        for kink in domain.kinks:
            near = np.abs(values - kink) < MARGIN
            values = np.where(near, values + np.where(values < kink, -MARGIN, MARGIN), values)
        return values

    def integers(self, shape: Shape, low: int, high: int, dtype: Any = np.int64) -> Array:
        """Whole numbers from `low` up to but not `high`."""
        n = int(np.prod(shape, dtype=np.int64))
        drawn = self.draw(st.lists(st.integers(low, high - 1), min_size=n, max_size=n))
        return np.array(drawn, dtype).reshape(shape)

    # keys

    def slice(self, n: int) -> tuple[Any, ...]:
        """The slice (start, stop, step) of an axis of length `n`."""
        bound = st.none() | st.integers(-n - 1, n + 1)
        return (self.draw(bound), self.draw(bound), self.of(None, 1, 2, -1, -2))

    def key(self, shape: Shape, *, arrays: bool) -> tuple[tuple[Any, ...], tuple[Array, ...]]:
        """What stands in the brackets of `x[...]`, and the index arrays in it, if `arrays`."""
        common: Shape = self.of((2,), (), (3,), (2, 2)) if arrays else ()
        parts: list[Any] = []
        indices: list[Array] = []
        axis = 0
        while axis < len(shape):
            n = shape[axis]
            kinds = ["slice", "full", *["int"] * (n > 0), *["array", "mask"] * (arrays and n > 0)]
            match self.of(*kinds):
                case "full":
                    parts.append(FULL)
                case "slice":
                    parts.append(self.slice(n))
                case "int":
                    parts.append(self.count(-n, n - 1))
                case "array":
                    parts.append(ARRAY)
                    dtype = self.of(np.int64, np.int32, np.int8)
                    indices.append(self.integers(self.part_of(common), -n, n, dtype))
                case "mask" if any(part == ARRAY for part in parts):
                    parts.append(FULL)  # how often it is true would have to fit the others
                case "mask":
                    parts.append(ARRAY)
                    rank = self.count(1, len(shape) - axis)
                    indices.append(self.integers(shape[axis : axis + rank], 0, 2, np.bool_))
                    parts.extend([FULL] * (len(shape) - axis - rank))
                    return self.widened(parts), tuple(indices)
            axis += 1
        if arrays and not indices:
            parts.insert(0, ARRAY)
            indices.append(np.array(self.of(True, False)))
        return self.widened(parts), tuple(indices)

    def widened(self, parts: list[Any]) -> tuple[Any, ...]:
        """A key with a new axis, or an Ellipsis in the place of what it leaves whole."""
        if self.of(False, True):
            parts.insert(self.count(0, len(parts)), None)
        full = [i for i, part in enumerate(parts) if part == FULL]
        if full and self.of(False, True):
            parts[full[0]] = ...
        return tuple(parts)


def points(domain: Domain) -> tuple[Array, float]:
    """256 numbers of a domain, those near 1 first, for shrinking ends there; and their distance."""
    step = (domain.high - domain.low) / 257
    grid = domain.low + step * np.arange(256)
    if domain.integer:
        grid = np.round(grid)
    return grid[np.argsort(np.abs(grid - 1), kind="stable")], step


def any_numbers(drawn: Array, dtype: np.dtype[Any], domain: Domain) -> Array:
    """A number for each byte: mostly of the domain, some far outside."""
    values: Array = points(domain)[0][drawn]
    if dtype.kind == "b":
        return np.asarray(drawn % 2 == 1)
    if dtype.kind == "u":
        values = np.abs(values)
    if dtype.kind in "iu":
        values = np.round(values)
        extremes: list[float] = [0, 1, int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)]
        values = values.astype(dtype)
    else:
        limits = np.finfo(dtype)
        tiny, huge = float(limits.smallest_subnormal), float(limits.max)
        extremes = [0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, huge, -huge]
        values = values.astype(np.longdouble if dtype.kind == "f" else np.float64)
    outside = drawn >= 216
    chosen = np.array(extremes, values.dtype)[drawn % len(extremes)]
    return np.where(outside, chosen, values)


Row = Callable[[Pen], Drawn]  # how the inputs and the attributes of an op are drawn
