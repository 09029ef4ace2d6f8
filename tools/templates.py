"""The lines that random programs are made of, and what stands in their places.

In a template {a}, {b} and {c} become earlier values, {w} a Variable, {axis} an axis of a, {axes}
some of them, {n} a small number, {key} slices of a, {index} places along its first axis, {widths}
of its margins, {shape} its shape, {finite} its first columns without inf and NaN, and {matrix} a
matrix made of them, near to the identity.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

LINES = {
    # of values that may be rounded: a small change of {a} is a small change of the result
    "smooth": """
        mg.sin({a})
        mg.cos({a})
        mg.tanh({a})
        mg.exp(-mg.square({a}))
        mg.square({a})
        mg.sqrt(mg.square({a}) + 0.5)
        mg.log(mg.square({a}) + 0.5)
        mg.log1p(mg.square({a}))
        mg.special.expit({a})
        mg.special.erf({a})
        mg.special.gammaln(mg.square({a}) + 0.3)
        mg.nn.softplus({a})
        mg.nn.gelu({a})
        mg.nn.silu({a})
        mg.expm1({a} * 0.1)
        mg.sinh({a} * 0.5)
        mg.asinh({a})
        mg.atan({a})
        mg.atan2({a}, mg.square({b}) + 1)
        (mg.square({a}) + 0.5) ** 1.5
        mg.logaddexp({a}, {b})
        {a} / (mg.square({b}) + 1)
        {a} * {b}
        {a} + {b}
        {a} - {b} * 0.5
        {a} * {b} + {c}
        {a} * 0.5
        mg.mean({a}, axis={axis})
        mg.mean({a}, axis={axes})
        mg.var({a}, axis={axis})
        mg.prod(mg.tanh({a}), axis={axis})
        mg.sum({a})
        mg.sum({a}, axis=0)
        mg.sum({a}, axis={axis}, keepdims=True)
        mg.sum({a} * {b}, axis={axes}, keepdims=True)
        mg.nn.softmax({a}, axis={axis})
        mg.nn.log_softmax({a}, axis={axis})
        mg.nn.logsumexp({a}, axis={axis})
        mg.nn.layer_norm({a}, 1.0, 0.5)
        mg.cumulative_sum({a}, axis={axis})
        mg.cumulative_prod(mg.tanh({a}), axis={axis})
        mg.matmul({a}, {b})
        mg.matmul({a}.mT, {a})
        mg.matmul({a}, {a}.mT) * 0.1
        mg.matmul({a}.mT, {b}) * 0.1
        mg.matmul({a}, {b}.mT) * 0.1
        mg.matmul({b}.mT, {a}.mT) * 0.1
        mg.tanh(mg.matmul({a}, {b}) * 0.1 + {c})
        mg.sum(mg.square(mg.matmul({a}, {b}) * 0.1), axis=-1)
        mg.nn.softmax(mg.matmul({a}, {b}.mT) * 0.1, axis=-1)
        mg.special.expit(mg.matmul({a}[..., ::-1], {b}) * 0.1) * {c}
        mg.einsum("...ij,...kj->...ki", {a}, {b}) * 0.1
        mg.tensordot({a}, {b}, axes=1) * 0.1
        mg.vecdot({a}, {b}) * 0.1
        mg.fori_loop(0, {n}, lambda i, z: mg.tanh(z * 0.5 + {a}), {a})
        mg.fori_loop(1, 4, lambda i, z: z * 0.5 + mg.where(i > 1, {b}, 1), {a} + {b})
        mg.scan(lambda z, x: (mg.tanh(z + x), z * 0.5), mg.zeros_like({a}[0]), {a})[1]
        mg.scan(lambda z, x: (mg.tanh(z + x), z * 0.5), mg.zeros_like({a}[0]), {a})[0]
        mg.scan(lambda z, x: (z * 0.5 + mg.sum(x), x * z), mg.sum({a}) * 0, {a})[1]
        mg.while_loop(lambda i, z: i < {n}, lambda i, z: (i + 1, mg.sin(z) + {a}), (0, {a}))[1]
        mg.map(lambda x: mg.sum(x * x), {a})
        mg.grad(lambda z: mg.sum(mg.sin(z) * {a}))({a})
        mg.vmap(lambda z: mg.sum(mg.tanh(z)) * z)({a})
        mg.linalg.vector_norm({a}, axis={axis}) + 1
        mg.linalg.inv({matrix})
        mg.linalg.solve({matrix}, {finite}.mT)
        mg.linalg.cholesky({matrix})
        mg.linalg.solve(mg.linalg.cholesky({matrix}).mT, {finite}.mT)
        mg.linalg.solve(mg.tril({matrix}), {finite}.mT)
        mg.linalg.det({matrix})
        mg.linalg.slogdet({matrix})[1]
    """,
    # that only move values, or change them exactly: the result is as exact as they are
    "moves": """
        -{a}
        {a} * 2
        {a}.mT
        {a}[{key}]
        {a}[{key}][..., ::-1]
        {a}[::-1]
        {a}[..., ::2]
        {a}[..., 1:]
        {a}[..., None]
        {a}[0]
        {a}[{index}]
        {a}[mg.asarray(-1), ...]
        {a}[..., {index}]
        {a}[{index}, ..., -1]
        mg.permute_dims({a}, {order})
        mg.reshape({a}, (-1,))
        mg.flip({a}, axis={axis})
        mg.roll({a}, {n}, axis={axis})
        mg.roll({a}, (3, -1), axis=(0, -1))
        mg.pad({a}, 2)
        mg.pad({a}, {widths})
        mg.pad({a}, {widths}, constant_values=1)
        mg.pad(mg.pad({a}, 1)[{key}], {widths})
        mg.pad(mg.concat([{a}[..., 1:], {a}], axis=-1)[{key}], ((1, 2),))
        mg.concat([mg.pad({a}, 1)[..., 1:], mg.pad({b}, 1)[..., ::-1]], axis={axis})
        mg.concat([{a}, {b}], axis={axis})
        mg.concat([{a}, {a}[{key}]], axis={axis})
        mg.concat([{a}[..., 1:], {a}], axis=-1)
        mg.stack([{a}, {a}], axis={axis})
        mg.stack([{a}, {b}], axis=-1)
        mg.tile({a}, (2,))
        mg.repeat({a}, 3, axis={axis})
        mg.broadcast_to({a}, ({n}, *{a}.shape))
        mg.expand_dims({a}, axis=0)
        mg.squeeze({a}[:1], axis=0)
        mg.tril({a}, k=1)
        mg.triu({a}, k=-{n})
        mg.linalg.diagonal({a}, offset=1)
        mg.take({a}, {index}, axis=0)
        mg.take({a}, mg.asarray([0, -1, 0]), axis={axis})
        {a}.at[0].set({a}[-1])
        {a}.at[..., 1:].set(0)
        {a}.at[{key}].set(1)
        {a}.at[{index}].set(0)
        {a}.at[{index}].set({a}[0])
        {a}.at[{key}].add({a}[{key}])
        {a}.at[{index}].multiply(2)
        mg.astype({a}, mg.float64)
        mg.astype({a}, mg.complex128)
        mg.real({a})
        mg.imag({a})
        mg.conj({a})
        mg.where({a} == {a}, {a}, 0)
        mg.moveaxis({a}, 0, -1)
        mg.zeros_like({a})
        mg.concat(mg.unstack({a}, axis={axis})[::-1])
        mg.split({a}, 2, axis={axis})[1]
    """,
    # that jump or have kinks, so of exact values only; the result is exact
    "bent": """
        mg.abs({a})
        mg.maximum({a}, {b})
        mg.minimum({a}, {b})
        mg.max({a}, axis={axis})
        mg.max({a}, axis={axes}, keepdims=True)
        mg.min({a}, axis={axis}, keepdims=True)
        mg.nn.relu({a})
        mg.nn.leaky_relu({a})
        mg.clip({a}, -1, 1)
        mg.sort({a}, axis={axis})
        mg.sort({a}, axis={axis}, descending=True)
        mg.take({a}, mg.argsort({a}, axis=0)[..., 0], axis=0)
        mg.take_along_axis({a}, mg.argsort({a}, axis={axis}), axis={axis})
        mg.floor({a})
        mg.ceil({a})
        mg.round({a})
        mg.trunc({a})
        mg.sign({a})
        mg.signbit({a})
        mg.copysign({a}, {b})
        mg.nextafter({a}, {b})
        {a} > {b}
        {a} == {b}
        mg.astype({a} <= {b}, mg.float32)
        mg.isfinite({a})
        mg.where({a} > 0, {a}, {b})
        mg.where({a} > 0, {a}, {a} / 0)
        mg.where({a} != 0, {b}, mg.nan)
        mg.astype({a}, mg.int32)
        mg.astype({a}, mg.bool)
        mg.astype({a}, mg.float32)
        mg.astype({a}, mg.float16)
        mg.astype(mg.astype({a}, mg.int64), mg.uint8)
        mg.astype(mg.astype({a}, mg.int32) * 1000003, mg.int16)
        mg.astype({a}, mg.int32) * 2000000011 - mg.astype({b}, mg.int32)
        mg.bitwise_left_shift({a}, {n})
        mg.bitwise_right_shift({a}, {b})
        mg.bitwise_left_shift({a}, {b} + 29)
        mg.bitwise_and({a}, {b})
        mg.bitwise_or({a}, mg.bitwise_invert({b}))
        mg.bitwise_xor({a}, {b})
        mg.remainder({a}, {b})
        mg.floor_divide({a}, {b})
        mg.floor_divide({a}, 3)
        mg.remainder({a}, -3)
        mg.argmax({a}, axis={axis})
        mg.argmin({a})
        mg.any({a} > 1)
        mg.all({a} != 0, axis={axis})
        mg.count_nonzero({a}, axis={axes})
        mg.logical_not({a})
        mg.logical_xor({a}, {b})
        mg.searchsorted(mg.sort(mg.reshape({a}, (-1,))), mg.reshape({a}, (-1,)))
        mg.cond(mg.any({a} > 1), lambda: {a} * 2, lambda: -{a})
        mg.switch(mg.argmax({a}) % 3, [lambda: {a} * 2, lambda: -{a}, lambda: mg.abs({a})])
        mg.fori_loop(0, {n}, lambda i, z: mg.where(z > 1, z - {a}, z * 2), {a})
        mg.fori_loop(0, mg.argmax({a}) % 4, lambda i, z: mg.where(i > 1, z + {a}, z * 2), {a})
        mg.while_loop(lambda z: mg.any(z > 1), lambda z: z * 0.5, ({a},), 9)[0]
        mg.scan(lambda z, x: (mg.maximum(z, x), z > x), {a}[0], {a})[0]
        mg.scan(lambda z, x: (mg.maximum(z, x), z > x), {a}[0], {a})[1]
        {a}.at[{index}].max({a}[0])
        mg.where({a} > 0, 0, {a})
        mg.where(mg.tril(mg.ones({shape})) > 0, {a}, 0)
        mg.nn.max_pool2d({a}[None, :, :, None], 2)
        mg.diff({a}, axis={axis})
        mg.logical_and({a} > 0, {b} > 0)
        mg.hypot({a} * 0, {b})
    """,
    # of exact values, with a result that is rounded: smooth in pieces
    "pieces": """
        mg.where({a} > 0, mg.log({a} * 1.0), {b})
        mg.where({a} >= 0, mg.sqrt({a}), -{a})
        mg.where({a} != 0, {b} / {a}, {b})
        mg.where({a} > 0, {a} ** 0.5, mg.exp({a} * 1.0))
        mg.where({a} > 5, mg.inf, mg.sin({a}))
        mg.nn.elu({a})
        mg.special.xlogy(mg.abs({a}), mg.abs({a}))
        mg.abs({a}) ** 2.5
        mg.sum(mg.where({a} > {b}, {a}, 0), axis={axis})
        {a}.at[{index}].add({a}[0])
        {a}.at[{index}].add(mg.sin({a}[{index}]))
        mg.zeros_like({a}).at[{index}].add({a}[{index}] * 0.5)
        mg.cond(mg.any({a} > 1), lambda: mg.sin({a}), lambda: mg.cos({a}))
        mg.while_loop(lambda z: mg.all(z < mg.argmax({a}) % 9), lambda z: z * 2 + 1, ({b},), 9)[0]
        mg.nn.softmax(mg.where({a} > 0, {a}, -1e9), axis={axis})
        mg.nn.softmax(mg.where({a} > 0, {a}, -mg.inf).at[..., 0].set(1), axis=-1)
        mg.clip({a}, -1, 1) * mg.sin({b} * 1.0)
        mg.abs({a}) * mg.cos({a})
    """,
    # that change what the next call finds
    "state": """
        {w}.assign({w} * 0.5 + mg.sin({a}))
        {w}.assign({w}.value() * 0.5)
        {w}.assign({a})
        {w}.assign_add({a} * 0.5)
        {w}.assign_sub({w} * 0.5 - {a})
        {w}.assign_add(mg.mean({a}))
        {w}.assign(mg.flip({w}.value()))
        {w}.assign(mg.roll({w}.value(), 1) * 0.5)
        {w}.assign(mg.tanh({w}.value().mT))
        {w}.assign(mg.cumulative_sum({w}.value(), axis=-1) * 0.1)
        {w}.assign({w}.value().at[0].set(0))
        {w}.assign({w}.value()[::-1] * 0.5)
        {w}.assign({w}.value() * 0.5 + mg.mean({w}.value()))
        {w}.value()
        {w} + 0
        {w} * {a}
        {w}.value() * 2
        generator.normal({shape})
        generator.uniform({shape}, dtype=mg.float64)
        generator.uniform({shape}) < 0.5
        generator.integers(-5, 9, {shape})
        generator.uniform_like({a})
        generator.bernoulli(0.3, {shape})
        generator.permutation({a})
        mg.where(generator.uniform({shape}) < 0.5, {a}, 0) * 2
        {a} + generator.normal({shape}) * 0.1
    """,
}
EXACT_IN = {"bent", "pieces"}
EXACT_OUT = {"moves", "bent", "state"}


class Template(NamedTuple):
    """A line, and whether it is for exact values only, and gives such."""

    text: str
    needs_exact: bool
    gives_exact: bool

    @property
    def is_control(self) -> bool:
        """Whether there are loops or branches in it."""
        return any(word in self.text for word in ("loop", "scan", "mg.cond", "switch", "mg.map"))


@functools.cache
def templates(kind: str) -> tuple[Template, ...]:
    """All templates of a kind."""
    texts = [line.strip() for line in LINES[kind].strip().splitlines()]
    return tuple([Template(t, kind in EXACT_IN, kind in EXACT_OUT) for t in texts])


class Draw(NamedTuple):
    """What fills a template: random numbers, three names, all values by name, and Variables."""

    rng: Any
    names: Sequence[str]
    values: Mapping[str, Any]
    variables: Sequence[str]


def fill(text: str, draw: Draw) -> str | None:
    """A template with all its places filled; None where there is no Variable for it."""
    rng, shape = draw.rng, draw.values[draw.names[0]].tensor.shape
    if "{w}" in text and not draw.variables:
        return None
    rank, first = max(1, len(shape)), f"{draw.names[0]}[..., :5]"
    some = rng.permutation(rank)[: rng.integers(1, rank + 1)]
    places = {
        **dict(zip("abc", draw.names, strict=True)),
        "w": rng.choice(draw.variables) if draw.variables else "",
        "axis": int(rng.integers(rank)),
        "axes": tuple(int(i) for i in sorted(some)),
        "order": tuple(int(i) for i in rng.permutation(len(shape))),
        "n": int(rng.integers(5)),
        "key": ", ".join([slice_of(rng, n) for n in shape[: rng.integers(1, rank + 1)]]) or "...",
        "index": index_along(rng, shape[0] if shape else 1),
        "widths": tuple([tuple(int(k) for k in rng.integers(0, 4, 2)) for _ in shape]),
        "shape": tuple(int(n) for n in shape),
        "finite": (finite := f"mg.where(mg.isfinite({first}), {first}, 0)"),
        "matrix": f"mg.tanh({finite}.mT @ {finite}) * 0.1 + mg.eye({min(5, *shape[-1:], 5)})",
    }
    return text.format(**places)


def slice_of(rng: Any, n: int) -> str:
    """A slice, whatever the length, or one of the elements of an axis of length `n`."""
    bounds = [str(int(k)) for k in rng.integers(-n - 2, n + 3, 2)]
    start, stop = [bound if rng.random() < 0.4 else "" for bound in bounds]
    step = str(rng.choice(["", "", "2", "-1", "-2", "3", "-7", "100"]))
    return f"{start}:{stop}:{step}"


def index_along(rng: Any, n: int) -> str:
    """A tensor of places on an axis of length `n`: negative ones, and some more than once."""
    count = int(rng.choice([1, 2, 3, 7, 33]))
    dtype = str(rng.choice(["int32", "int64", "int8"] if n < 128 else ["int32", "int64"]))
    places = rng.integers(-n, max(n, 1), count).tolist() if n else []
    if rng.random() < 0.2 and count > 1:
        return f"mg.asarray([{places}, {places[::-1]}], dtype=mg.{dtype})"
    return f"mg.asarray({places}, dtype=mg.{dtype})"
