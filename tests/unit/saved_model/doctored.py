"""Files with something changed in them, so that the loader can be seen to notice."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import minigrad as mg
from minigrad.saved_model.model import dumped

Change = Callable[[Any], Any]


def members(data: bytes) -> dict[str, bytes]:
    """The members of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(parts: dict[str, bytes] | list[tuple[str, bytes]], **options: Any) -> bytes:
    """A zip of `parts`, a name of which may come twice."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as file:
        for name, part in parts.items() if isinstance(parts, dict) else parts:
            file.writestr(zipfile.ZipInfo(name), part, options.get("compression"))
    return stream.getvalue()


def doctored(data: bytes, *, manifest: Change | None = None, graphs: Change | None = None) -> bytes:
    """`data` with its JSON changed: each function gets the value, and returns another."""
    parts = members(data)
    for name, change in (("manifest.json", manifest), ("graphs.json", graphs)):
        if change is not None:
            value = json.loads(parts[name])
            parts[name] = json.dumps(change(value)).encode()
    return packed(parts)


def one_graph(node: Any = None, **changes: Any) -> bytes:
    """The file of `sin` of float32[3], with its node, or parts of its graph, changed."""
    f = mg.function(lambda x: mg.sin(x))
    data = dumped(f.get_concrete_function(mg.TensorSpec((3,))))
    every = {name: 1 for name in mg.core.registry.OPS}

    def change(graphs: Any) -> Any:
        graphs[0]["nodes"][0] |= node or {}
        graphs[0] |= changes
        return graphs

    return doctored(data, manifest=lambda head: head | {"ops": every}, graphs=change)
