"""`vmap`: a function of one example made one of many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import batching_bodies, batching_control, tree
from .batch import BODIES, Batch, Batched
from .core.convert import as_tensor
from .core.op import CONTEXT
from .core.registry import api
from .core.spec import canonical_axis
from .errors import SpecError

Axes = Any  # an int, None, or a nest of them that begins as that of the arguments

BODIES.update(batching_bodies.RULES)
BODIES.update(batching_control.RULES)


def vmap(func: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """A function of many examples at once, made of `func`, which is written for one.

    in_axes: which axis of each argument counts the examples; None for what they share. An int for
    all arguments, or a tuple with one entry per argument, each an int, None or a nest like the
    argument. Keyword arguments are shared. out_axes: likewise, where it comes in the results;
    None for a result that all share. Arguments and results are nests; None stays None.

    Where ops have no batching rule they are applied example by example, and everything is right
    that is right in a loop. Each example draws its own random numbers. Variables are shared: they
    can be read, and assigned what all examples share. A Python decision on what differs between
    examples raises TraceError; mg.cond computes both branches then, for all examples (what a branch
    refuses it refuses of those that do not take it, too), and mg.while_loop goes on until all are
    done. `mg.numpy_function` says by `vmap_method` how it is to be called.
    Nests, and mixes with derivatives and functions in any order. Raises SpecError for axes that
    do not fit, or lengths that differ.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        name = f"vmap of {getattr(func, '__name__', 'a function')}"
        leaves, structure = tree.flatten(tuple(args))
        axes = spread_axes(name, "in_axes", in_axes, args if type(in_axes) is not list else [*args])
        moved = [fronted(name, x, axis) for x, axis in zip(leaves, axes, strict=True)]
        with examples(common_size(name, moved, axes), name) as batch:
            with batch.inside():
                pairs = zip(moved, axes, strict=True)
                given = [x if axis is None else Batched(x, batch) for x, axis in pairs]
                returned = func(*tree.unflatten(structure, given), **kwargs)
                outputs, form = tree.flatten(returned)
                outputs = [y if y is None else as_tensor(y) for y in outputs]
            places = spread_axes(name, "out_axes", out_axes, returned)
            pairs = zip(outputs, places, strict=True)
            return tree.unflatten(form, [placed(name, batch, y, axis) for y, axis in pairs])

    return wrapper


@contextmanager
def examples(size: Any, name: str) -> Iterator[Batch]:
    """A block with an interpreter of `size` examples; behind it, what they were made into is over.

    size: an int, or a 0-d tensor where a trace does not know it.
    """
    batch = Batch(size, CONTEXT.get(), name)
    try:
        yield batch
    finally:
        batch.open = False


def spread_axes(name: str, option: str, axes: Axes, nest: Any) -> list[int | None]:
    """One axis, or None, for each leaf of `nest`; an axis stands for all below it."""
    structure = tree.flatten(nest)[1]
    if axes is None or hasattr(axes, "__index__"):
        return [axes] * tree.count(structure)
    outer, form = tree.flatten(axes)
    found: list[int | None] = []
    try:
        for axis, part in zip(outer, tree.flatten_like(form, nest), strict=True):
            if axis is not None:
                axis.__index__()
            found.extend([axis] * tree.count(tree.flatten(part)[1]))
    except (SpecError, AttributeError):
        raise SpecError(
            f"{name}: {option}={axes!r} came for a nest {structure!r}: it is an int or None, or a "
            "nest of them that begins as this one; write one entry for each part, as in (0, None)"
        ) from None
    return found


def fronted(name: str, x: Any, axis: int | None) -> Any:
    """The argument `x` with its `axis` of examples in front."""
    if axis is None:
        return x
    tensor = as_tensor(x)
    if tensor.ndim == 0:
        raise SpecError(
            f"{name}: {tensor.spec} came with in_axes={axis}: it has no axis that could count "
            "examples; write in_axes=None for what they share, as in in_axes=(0, None)"
        )
    return api.moveaxis(tensor, canonical_axis(name, axis, tensor.ndim), 0)


def common_size(name: str, moved: Sequence[Any], axes: Sequence[Any]) -> Any:
    """How many examples there are, an int or a 0-d tensor: all axes say the same."""
    mapped = [x for x, axis in zip(moved, axes, strict=True) if axis is not None]
    known = {x.shape[0] for x in mapped} - {None}
    if not mapped or len(known) > 1:
        raise SpecError(
            f"{name}: examples are counted by axes of "
            f"{', '.join(str(x.shape[0]) for x in mapped) or 'no argument'}: at least one argument "
            "has such an axis, and all have the same length; correct in_axes"
        )
    return known.pop() if known else api.dims_of(mapped[0])[0]


def placed(name: str, batch: Batch, y: Any, axis: int | None) -> Any:
    """The result `y` outside, its examples along `axis`."""
    if y is None:
        return None
    if axis is None:
        if batch.holds(y):
            raise SpecError(
                f"{name}: a result of {y.spec} came with out_axes=None: it differs between the "
                "examples; give it an axis, or reduce what it is made of"
            )
        return y
    whole = batch.whole(y)
    place = canonical_axis(name, axis, whole.ndim)
    return api.moveaxis(whole, 0, place) if place else whole
