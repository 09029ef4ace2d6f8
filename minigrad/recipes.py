"""Programs on disk: of which objects they consist, how these are linked, and how they are called.

A recipe spares the next process all that leads from a graph to its objects. It is found by the
fingerprint of the graph, and lies in the cache beside the objects, which it only names.
"""

from __future__ import annotations

import marshal
from typing import Any

import numpy as np

from .codegen import cache, jit
from .codegen.fastcall import ArraySpec, Signature
from .codegen.spelling import UnknownError, called
from .fingerprints import fingerprint, unchanged
from .graph import Graph

Native = tuple[jit.Code, Signature]

FORM = "recipe 2"
"""Of what is written; recipes of others are not found."""

LARGEST = 1 << 20
"""Bytes of constants in a recipe; programs with more are compiled each time."""


def recalled(graph: Graph) -> Native | None:
    """The native code of `graph` and how it is called, by its recipe; None where there is none."""
    key = key_of(graph)
    content = cache.read(key) if key else None
    return None if content is None else followed(marshal.loads(content))


def remember(graph: Graph, native: Native) -> None:
    """Write the recipe of `native` for whoever is to run `graph`, if it can be written."""
    key = key_of(graph)
    if key and unchanged():
        try:
            content = recipe(*native)
        except UnknownError:
            return
        cache.write(key, marshal.dumps(content))


def key_of(graph: Graph) -> str | None:
    """The name in the cache of the recipe of `graph`; None where it has no fingerprint."""
    if "fingerprint" not in graph.cache:
        found = fingerprint(graph)
        graph.cache["fingerprint"] = found and jit.digest(FORM, found)
    made: str | None = graph.cache["fingerprint"]
    return made


def recipe(code: jit.Code, signature: Signature) -> dict[str, Any]:
    """How to make `code` of objects again, and call it, in plain values.

    Raises UnknownError where it refers to what another process cannot find.
    """
    modules: dict[jit.Code, list[Any]] = {}
    arrays: list[Any] = []
    seen: list[Any] = []

    def place(part: jit.Code) -> int:
        if part not in modules:
            imports = {name: source(name, found) for name, found in part.imports.items()}
            modules[part] = [list(part.keys), list(part.addresses), imports]
        return list(modules).index(part)

    def source(name: str, found: jit.Import) -> Any:
        if isinstance(found, jit.Export):
            return place(found.code), found.symbol
        if isinstance(found, np.ndarray):
            # what two modules refer to is one thing: one may look at what the other notes there
            known = next((k for k, x in enumerate(seen) if x is found), None)
            if known is None:
                seen.append(found)
                arrays.append((*plain(found), found.tobytes()))
            return len(arrays) - 1 if known is None else known
        if name not in jit.shared:
            raise UnknownError(f"the address of {name}")
        return None

    place(code)
    if sum(len(content) for _, _, content in arrays) > LARGEST:
        raise UnknownError("constants too large to keep")
    settings = {
        **signature._asdict(),
        "inputs": list(map(plain, signature.inputs)),
        "outputs": list(map(plain, signature.outputs)),
        "cells": sorted(signature.cells),
        "written": list(signature.written.items()),
        "over": sorted(signature.over),
    }
    return {"modules": list(modules.values()), "arrays": arrays, "signature": settings}


def plain(x: Any) -> tuple[str, list[int]]:
    """Dtype and shape of an array or its spec. Raises UnknownError."""
    return called(x.dtype), list(x.shape)


def followed(content: dict[str, Any]) -> Native | None:
    """What `recipe` was made of; None where an object is gone."""
    arrays = [
        np.ndarray(shape, dtype, elements).copy() for dtype, shape, elements in content["arrays"]
    ]
    made: list[jit.Code] = []
    for keys, symbols, imports in content["modules"]:
        images = {key: cache.read(key) for key in keys}
        read = {key: image for key, image in images.items() if image is not None}
        if len(read) < len(keys):
            return None
        found: dict[str, jit.Import] = {}
        for name, source in imports.items():
            if source is None:
                found[name] = jit.shared[name](name)
            else:
                found[name] = (
                    arrays[source]
                    if type(source) is int
                    else jit.Export(made[source[0]], source[1])
                )
        made.append(jit.load(read, symbols, found))
    settings = content["signature"]
    for side in ("inputs", "outputs"):
        settings[side] = [ArraySpec(tuple(shape), np.dtype(name)) for name, shape in settings[side]]
    settings["cells"], settings["over"] = frozenset(settings["cells"]), frozenset(settings["over"])
    settings["written"] = dict(settings["written"])
    return made[-1], Signature(**settings)
