"""The innermost loops of products in assembly of x86-64 with AVX-512: what LLVM makes of them too.

It takes LLVM some ten milliseconds to find the registers of a tile, and these are known. The
functions are called as on Linux: arguments in rdi, rsi, rdx, rcx and r8, all vectors free to use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import jit

BYTES = 64
"""Of a vector."""
REACH = 1 << 31
"""Bytes that an address may be apart from a register, or a register be moved by."""

Columns = Sequence[tuple[int, int]]
"""The vectors of a row: the columns where they begin, and how many of their lanes count."""


def is_known(dtype: np.dtype[np.generic], *distances: int) -> bool:
    """Whether this machine runs what is written here for `dtype`, for items so far apart."""
    if not jit.available() or dtype not in (np.float32, np.float64):
        return False
    host = jit.host()
    fits = (
        host.triple.startswith("x86_64") and "linux" in host.triple and host.vector_bytes == BYTES
    )
    return fits and all(abs(distance) * dtype.itemsize < REACH for distance in distances)


def tiles(
    name: str,
    dtype: np.dtype[np.generic],
    rows: int,
    columns: Columns,
    *,
    width: int,
    a: tuple[int, int],
    b: int,
    c: int,
    apart: int | None,
    padded: bool,
    adds: bool,
    ahead: int = 0,
) -> list[str]:
    """`void name(ptr a, ptr b, ptr c, i64 depth, i1 fresh, i64 count)`: some tiles side by side.

    Each is of `rows` rows, and of `columns` of the `width` that a panel has.
    a: how far apart rows are, and steps of depth. b, c: how far apart rows are. apart: steps of
    depth between panels that are copies; c is not in the cache then. padded: all lanes of panels
    may be read. adds: unless `fresh`, to what c holds. ahead: steps of depth, if any, before they
    are multiplied that rows of panels are asked for.
    """
    size, kind = dtype.itemsize, "s" if dtype.itemsize == 4 else "d"
    word = "dword" if size == 4 else "qword"
    count, sums = len(columns), rows * len(columns)
    lines = [*start(name), *mask(dtype, columns), "test r9, r9", f"jle .L{name}.end"]
    lines += [f".L{name}.panel:", "mov rax, rdi", "mov r11, rsi", "mov r10, rcx"]
    places = [
        (f"[rdx + {(i * c + column) * size}]", masked(dtype, lanes))
        for i in range(rows)
        for column, lanes in columns
    ]
    if apart is not None:
        lines += [f"prefetchw byte ptr {place}" for place, _ in places]
    lines += [f"vpxord zmm{k}, zmm{k}, zmm{k}" for k in range(sums)]
    lines += [".p2align 4", f".L{name}.step:"]
    for j, (column, lanes) in enumerate(columns):
        chosen = " {k1} {z}" if not padded and masked(dtype, lanes) else ""
        lines.append(f"vmovup{kind} zmm{sums + j}{chosen}, [r11 + {column * size}]")
    if ahead:
        lines += [f"prefetcht0 byte ptr [r11 + {(ahead * b + j) * size}]" for j, _ in columns]
    number = sums + count
    for i in range(rows):
        x = f"{word} ptr [rax + {i * a[0] * size}]"
        if count == 1:
            lines.append(f"vfmadd231p{kind} zmm{i}, zmm{sums}, {x}{{1to{BYTES // size}}}")
            continue
        lines.append(f"vbroadcasts{kind} zmm{number}, {x}")
        for j in range(count):
            lines.append(f"vfmadd231p{kind} zmm{i * count + j}, zmm{number}, zmm{sums + j}")
    lines += [f"add rax, {a[1] * size}", f"add r11, {b * size}", "dec r10", f"jne .L{name}.step"]
    if adds:
        lines += ["test r8b, 1", f"jne .L{name}.store"]
        for k, (place, chosen) in enumerate(places):
            lines.append(f"vaddp{kind} zmm{k}{chosen}, zmm{k}, {place}")
        lines.append(f".L{name}.store:")
    lines += [f"vmovup{kind} {place}{chosen}, zmm{k}" for k, (place, chosen) in enumerate(places)]
    following = f"rsi + {width * size}" if apart is None else f"r11 + {apart * width * size}"
    lines += [
        f"lea rsi, [{following}]",
        f"add rdx, {width * size}",
        "dec r9",
        f"jne .L{name}.panel",
    ]
    return [*lines, f".L{name}.end:", *end(name)]


def pack(
    name: str, dtype: np.dtype[np.generic], width: int, columns: Columns, *, row: int, apart: int
) -> list[str]:
    """`void name(ptr b, ptr packed, i64 depth, i64 count)`: copies of panels, row by row.

    width: columns of a panel. row: how far apart rows are. apart: steps of depth between copies.
    """
    size, kind = dtype.itemsize, "s" if dtype.itemsize == 4 else "d"
    lines = [*start(name), *mask(dtype, columns), "test rcx, rcx", f"jle .L{name}.end"]
    lines += [f"lea rax, [rdx + {apart}]", f"imul rax, rax, {width * size}", f".L{name}.row:"]
    lines += ["mov r8, rdi", "mov r9, rsi", "mov r10, rcx", f".L{name}.panel:"]
    for j, (column, lanes) in enumerate(columns):
        chosen = " {k1} {z}" if masked(dtype, lanes) else ""
        lines.append(f"vmovup{kind} zmm{j}{chosen}, [r8 + {column * size}]")
    lines += [
        f"vmovup{kind} [r9 + {column * size}], zmm{j}" for j, (column, _) in enumerate(columns)
    ]
    lines += [f"add r8, {width * size}", "add r9, rax", "dec r10", f"jne .L{name}.panel"]
    lines += [f"add rdi, {row * size}", f"add rsi, {width * size}", "dec rdx", f"jne .L{name}.row"]
    return [*lines, f".L{name}.end:", *end(name)]


def start(name: str) -> list[str]:
    """What opens a function."""
    return [".intel_syntax noprefix", ".text", ".p2align 4", f".type {name},@function", f"{name}:"]


def end(name: str) -> list[str]:
    """What returns from a function, and closes it."""
    return ["vzeroupper", "ret", f".size {name}, .-{name}", ".att_syntax"]


def masked(dtype: np.dtype[np.generic], lanes: int) -> str:
    """What chooses the lanes of a vector of which only so many count."""
    return " {k1}" if lanes < BYTES // dtype.itemsize else ""


def mask(dtype: np.dtype[np.generic], columns: Columns) -> list[str]:
    """What makes the mask of the last vector of a row, the only one that may not be whole."""
    _, lanes = columns[-1]
    return [f"mov eax, {(1 << lanes) - 1}", "kmovw k1, eax"] if masked(dtype, lanes) else []
