"""Sums of products in Einstein's notation: diagonals, sums, and products of two at a time."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any, NamedTuple

from ..core.convert import as_tensor
from ..core.define import composite, ranked
from ..core.registry import api
from ..core.spec import said, unknown_rank
from ..core.tensor import Tensor
from ..errors import SpecError
from .diagonals import diagonal_of

Labels = tuple[Any, ...]  # letters; ints for the axes that "..." stands for, counted from the last


class Term(NamedTuple):
    """A tensor, and a label for each of its axes."""

    x: Tensor
    labels: Labels


@composite
@ranked
def einsum(equation: str, /, *operands: Any) -> Any:
    """Sum of products, by labels of axes: "ij,jk->ik" is the product of two matrices.

    equation: the labels of each operand, and of the result, one letter per axis; axes of one
    letter are equally long; letters that the result lacks are summed. "..." stands for further
    axes, which broadcast, and are summed if the result lacks them. Without "->", the result has
    the letters that occur once, in order of the alphabet. operands: tensors of known rank; their
    dtypes promote, and the sum has that dtype.
    Raises SpecError where labels and shapes do not fit. NumPy: einsum.
    """
    xs = [as_tensor(x) for x in operands]
    sources, target = parsed(equation, xs)
    check_lengths(equation, xs, sources)
    terms = [single(Term(x, labels)) for x, labels in zip(xs, sources, strict=True)]
    while len(terms) > 1:
        i, k = cheapest_pair(terms, target)
        others = [term for n, term in enumerate(terms) if n not in (i, k)]
        keep = {*target}.union(*[term.labels for term in others])
        terms = [*others, product(terms[i], terms[k], keep)]
    x, labels = summed(terms[0], {*target})
    return api.permute_dims(x, tuple([labels.index(label) for label in target]))


def parsed(equation: str, xs: list[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result. Raises SpecError for what is no equation."""
    if not isinstance(equation, str):
        raise SpecError(
            f"einsum: {said(equation)} came as the equation; it is a string of labels, and comes "
            'first; write, say, mg.einsum("ij,jk->ik", x, y)'
        )
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    form = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
    if len(parts) != len(xs) or not all(form.fullmatch(part) for part in (*parts, right)):
        raise SpecError(
            f"einsum: {equation!r} of {len(xs)} operands; an equation has letters, and at most "
            'one "...", for each operand, set apart by commas; write, say, "ij,jk->ik"'
        )
    sources = [labels_of(equation, part, x) for part, x in zip(parts, xs, strict=True)]
    rest = max((-label for labels in sources for label in labels if type(label) is int), default=0)
    dots = tuple(range(-rest, 0))
    counts = Counter(letter for part in parts for letter in part.replace(".", ""))
    if not arrow:
        return sources, (*dots, *sorted(letter for letter, n in counts.items() if n == 1))
    named = Counter(right.replace(".", ""))
    if any(n > 1 or letter not in counts for letter, n in named.items()):
        raise SpecError(
            f"einsum: {equation!r}: each letter of the result stands there once, and in an "
            "operand too; correct the part after '->'"
        )
    before, found, after = right.partition("...")
    return sources, (*before, *(dots if found else ()), *after)


def labels_of(equation: str, part: str, x: Tensor) -> Labels:
    """A label for each axis of `x`, which `part` describes."""
    before, dots, after = part.partition("...")
    if x.ndim is None:
        raise unknown_rank("einsum")
    rest = x.ndim - len(before) - len(after)
    if rest < 0 or (rest and not dots):
        raise SpecError(
            f"einsum: {part!r} in {equation!r} names {len(before) + len(after)} axes, and "
            f'{x.spec} has {x.ndim}; write one letter for each, or "..." for the rest'
        )
    return (*before, *range(-rest, 0), *after)


def check_lengths(equation: str, xs: list[Tensor], sources: list[Labels]) -> None:
    """Raise SpecError where axes of one label differ; those of "..." may be 1."""
    lengths: dict[Any, int] = {}
    for x, labels in zip(xs, sources, strict=True):
        for n, label in zip(x.shape, labels, strict=True):
            if n is None or (n == 1 and type(label) is int):
                continue
            if lengths.setdefault(label, n) != n:
                raise SpecError(
                    f"einsum: {equation!r} of {' and '.join(str(x.spec) for x in xs)}: axes of one "
                    f"label are equally long, and {label!r} is {lengths[label]} and {n}; correct "
                    "the equation, or reshape"
                )


def single(term: Term) -> Term:
    """The term with each label once: of axes that share one, the diagonal."""
    x, labels = term
    for label, n in Counter(labels).items():
        if n > 1:
            places = [i for i, other in enumerate(labels) if other == label]
            others = [i for i in range(len(labels)) if i not in places]
            x = api.permute_dims(x, (*others, *places))
            for _ in range(n - 1):
                x = diagonal_of(x, offset=0)
            labels = (*[labels[i] for i in others], label)
    return Term(x, labels)


def summed(term: Term, keep: set[Any]) -> Term:
    """The term without the labels that are not in `keep`."""
    x, labels = term
    axes = tuple([i for i, label in enumerate(labels) if label not in keep])
    if not axes:
        return term
    return Term(api.sum(x, axis=axes, dtype=x.dtype), tuple([s for s in labels if s in keep]))


def cheapest_pair(terms: list[Term], target: Labels) -> tuple[int, int]:
    """The two terms whose product takes the fewest multiplications; the first of equals.

    Greedy, as NumPy's `einsum_path`: the best order of all takes exponentially long to find.
    """
    if len(terms) == 2:
        return 0, 1
    lengths = {s: n for x, labels in terms for s, n in zip(labels, x.shape, strict=True) if n != 1}
    pairs = [(i, k) for k in range(len(terms)) for i in range(k)]
    return min(
        pairs,
        key=lambda pair: math.prod(
            [lengths.get(s) or 1 for s in {*terms[pair[0]].labels, *terms[pair[1]].labels}]
        ),
    )


def product(one: Term, two: Term, keep: set[Any]) -> Term:
    """The product of two terms, summed over the labels that are not in `keep`."""
    one = summed(one, keep | {*two.labels})
    two = summed(two, keep | {*one.labels})
    shared = [s for s in one.labels if s in two.labels]
    summing = [s for s in shared if s not in keep]
    batch = [s for s in shared if s in keep]
    free1, free2 = [[s for s in t.labels if s not in shared] for t in (one, two)]
    if any(type(s) is int for s in summing) or not summing:
        # elementwise: nothing is summed, or what is summed broadcasts
        x1 = spread(one, [*shared, *free1, *free2])
        x2 = spread(two, [*shared, *free1, *free2])
        return summed(Term(x1 * x2, (*shared, *free1, *free2)), keep)
    if not batch:
        axes = [[t.labels.index(s) for s in summing] for t in (one, two)]
        return Term(api.tensordot(one.x, two.x, axes=axes), (*free1, *free2))
    x1, dims1 = arranged(one, [batch, free1, summing])
    x2, dims2 = arranged(two, [batch, summing, free2])
    y = api.matmul(x1, x2)
    lead = [max_dim(n, m) for n, m in zip(dims1[0], dims2[0], strict=True)]
    return Term(api.reshape(y, [*lead, *dims1[1], *dims2[2]]), (*batch, *free1, *free2))


def max_dim(n: Any, m: Any) -> Any:
    """The length of an axis that broadcasts from `n` and `m`, of which one may be 1."""
    return m if type(n) is int and n == 1 else n


def spread(term: Term, labels: list[Any]) -> Tensor:
    """The tensor of the term with an axis for each of `labels`, of length 1 where it lacks it."""
    x = api.permute_dims(term.x, tuple([term.labels.index(s) for s in labels if s in term.labels]))
    key = tuple([slice(None) if s in term.labels else None for s in labels])
    y: Tensor = x[key]
    return y


def arranged(term: Term, groups: list[list[Any]]) -> tuple[Tensor, list[list[Any]]]:
    """The first group of labels as axes, the others as one axis each; and all their lengths."""
    x = api.permute_dims(term.x, tuple([term.labels.index(s) for part in groups for s in part]))
    lengths = iter(api.dims_of(x))
    dims = [[next(lengths) for _ in part] for part in groups]
    return api.reshape(x, [*dims[0], *[math.prod(part) for part in dims[1:]]]), dims
