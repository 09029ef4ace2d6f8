"""`save` and `load`: what is in a file as a whole, and which parts of a Module go into it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import IO, Any

from .. import doubts, fft, linalg, nn, random, special
from ..concrete import ConcreteFunction
from ..core.registry import OPS
from ..core.spec import Spec
from ..core.tensor import tensor_of
from ..errors import SaveError, SpecError, UncompilableError
from ..function import Function, Method
from ..module import Module, walk
from ..variable import Variable
from . import limits
from .archive import Archive, Array, write_file, write_zip
from .functions import concretes_of, function_from_json, function_to_json
from .limits import damaged, require
from .loaded import LoadedModule
from .read import Reader, taken
from .values import Json, spec_from
from .write import OP_VERSIONS, Writer

# a file may hold the ops of all of them
WITH_OPS = (doubts, fft, linalg, nn, random, special)


def version() -> str:
    """The version of this minigrad."""
    # of the package, above all its modules: looked up, for nothing may import it
    return str(sys.modules[__name__.partition(".")[0]].__dict__["__version__"])


# saving


def save(
    obj: Any,
    path: Any,
    callbacks: Collection[str] | None = None,
    *,
    signatures: Sequence[Any] | None = None,
) -> None:
    """Write a model to the file `path`: all of it, or, after a crash, what was there before.

    obj: a concrete function; a Function, with all that it was traced for; or a Module, with its
    Variables and the traced functions among its attributes and those of Modules in it.
    callbacks: names of Python bodies (numpy_function, or py_function that cannot be traced) which
    `load` will be given again; all others are refused. signatures: of a Function, the arguments of
    `get_concrete_function` for each graph to save, in place of those it was traced for.

    Gradients need not be saved: a loaded graph has them, to any order. Raises SaveError for what
    a file cannot hold, and then leaves the file as it was.
    """
    write_file(path, members_of(obj, callbacks or (), signatures))


def dumped(obj: Any, callbacks: Collection[str] = (), signatures: Any = None) -> bytes:
    """The bytes of the file."""
    stream = io.BytesIO()
    write_zip(stream, members_of(obj, callbacks, signatures))
    return stream.getvalue()


def members_of(obj: Any, callbacks: Collection[str], signatures: Any) -> dict[str, bytes | Array]:
    """The members of the file, by name."""
    if isinstance(callbacks, str):
        raise SaveError(
            f"save with callbacks={callbacks!r}: a list of names is wanted; write [{callbacks!r}]"
        )
    writer = Writer(callbacks)
    if isinstance(obj, Method):
        obj = obj.__wrapped__
    if isinstance(obj, (Function, ConcreteFunction)):
        kind = "function"
        functions = [function_to_json(None, obj, writer, signatures)]
        if not functions[0]["traces"]:
            raise SaveError(
                f"function {obj.name} was to be saved, and was not traced yet: a file holds "
                "graphs, one for each signature; call it first, or pass "
                "signatures=[[mg.TensorSpec(...)]]"
            )
    elif isinstance(obj, Module) and signatures is None:
        kind = "module"
        for name, variable in obj.named_variables():
            writer.refer(variable.cell)
            writer.paths[variable.cell] = name
        functions = [
            function_to_json(name, function, writer, None) for name, function in functions_of(obj)
        ]
    else:
        raise SaveError(
            f"save of a {type(obj).__name__} {obj!r:.60}: a Module, a Function or a concrete "
            "function is saved, and signatures are for a Function; make it an attribute of an "
            "mg.Module, or decorate it with mg.function"
        )
    writer.check_names()
    manifest = {
        "format": limits.FORMAT,
        "format_version": limits.FORMAT_VERSION,
        "minigrad": version(),
        "kind": kind,
        "functions": functions,
    }
    return writer.members(manifest)


def functions_of(module: Module) -> Iterator[tuple[str, Any]]:
    """The traced functions that are attributes of a Module, and of Modules in it, by path."""
    for path, found in walk(module, "", set()):
        if not isinstance(found, Module):
            continue
        start = f"{path}." if path else ""
        names = dict.fromkeys(vars(found))
        for base in type(found).__mro__:
            names |= {name: None for name, value in vars(base).items() if type(value) is Function}
        if isinstance(found, LoadedModule):
            yield from found.functions.items()
            continue
        for name in names:
            value = getattr(found, name)
            function = value.__wrapped__ if isinstance(value, Method) else value
            if isinstance(function, ConcreteFunction) or (
                isinstance(function, Function) and concretes_of(function, None)
            ):
                yield f"{start}{name}", function


# loading


def load(
    path: Any,
    callbacks: Mapping[str, Callable[..., Any]] | None = None,
    *,
    jit_compile: bool | None = None,
) -> Any:
    """What was saved in the file `path`; no source of it is needed, and none of it is run.

    callbacks: the functions that stay Python, by the names that `save` was given.
    jit_compile: compile the functions, or do not; None for each as it was.
    Returns a concrete function, a LoadedFunction or a LoadedModule. Named tuples and dataclasses
    among results come back as dicts. Raises SaveError for a file that is not one, or is of
    a newer minigrad, or needs callbacks that are not given.
    """
    with open(path, "rb") as file:
        return read(file, callbacks or {}, jit_compile)


def loaded(data: bytes) -> Any:
    """What `dumped` wrote."""
    return read(io.BytesIO(data), {}, None)


def read(file: IO[bytes], callbacks: Mapping[str, Any], jit: bool | None) -> Any:
    """What an open file holds."""
    for name, function in callbacks.items():
        if not callable(function):
            raise SaveError(
                f"load with callbacks={{{name!r}: {function!r:.40}}}: a name is bound to "
                "a function; pass one that takes what the saved one took"
            )
    try:
        return model_of(Archive(file), callbacks, jit)
    except (SaveError, UncompilableError):
        raise
    except Exception as error:  # of zipfile, json, numpy: whatever a broken file makes them raise
        raise damaged(f"{type(error).__name__}: {error!s:.200}") from error


def model_of(archive: Archive, callbacks: Mapping[str, Any], jit: bool | None) -> Any:
    """The model in an archive."""
    head = archive.json("manifest.json")
    check_version(head)
    _, _, _, kind, functions, ops, needed, variables, constants = taken(
        head,
        "a manifest",
        **{"format": str, "format_version": int, "minigrad": str, "kind": str, "functions": list},
        **{"ops": dict, "callbacks": dict, "variables": list, "constants": list},
    )
    check_ops(ops, head["minigrad"])
    check_callbacks(needed, callbacks)
    tensors = [
        tensor_of(archive.array(f"constants/{i}.npy", spec_from(text)))
        for i, text in enumerate(constants)
    ]
    owners = [variable(archive, i, row) for i, row in enumerate(variables)]
    bound = {name: callbacks[name] for name in needed}
    reader = Reader(tensors, [v for _, v in owners], frozenset(ops), bound, jit)
    graphs = archive.json("graphs.json")
    require(type(graphs) is list, "no list of graphs")
    archive.finish()
    for graph in graphs:
        reader.add(graph)
    found = [function_from_json(function, reader) for function in functions]
    if kind == "function":
        require(len(found) == 1, f"{len(found)} functions in place of one")
        return found[0][1]
    require(kind == "module", f"a {kind!r:.40}")
    return module_of([(p, v) for p, v in owners if p is not None], found)


def check_version(head: Json) -> None:
    """Raise SaveError for a file of another kind, or of a format of the future."""
    require(type(head) is dict and head.get("format") == limits.FORMAT, "no saved model")
    stated, writer = head.get("format_version"), head.get("minigrad")
    require(type(stated) is int and stated > 0, f"the format version {stated!r:.40}")
    if stated > limits.FORMAT_VERSION:
        raise SaveError(
            f"a saved model of format version {stated} was to be loaded, written by minigrad "
            f"{writer!s:.40}: this minigrad, {version()}, reads versions up to "
            f"{limits.FORMAT_VERSION}; install a newer one, or save the model with this one"
        )


def check_ops(ops: Json, writer: str) -> None:
    """Raise SaveError for ops that this minigrad does not have, or not in this version."""
    for name, stated in ops.items():
        require(type(stated) is int, f"the version {stated!r:.40} of an op")
        ours = OP_VERSIONS.get(name, 1) if name in OPS else None
        if ours != stated:
            known = "does not have it" if ours is None else f"has version {ours}"
            own = "; if it is one of yours, import the module that defines it before"
            raise SaveError(
                f"a saved model was to be loaded with the op {name!r:.40} in version {stated}, "
                f"written by minigrad {writer:.40}: this minigrad, {version()}, {known}; install "
                f"the one that wrote it, and save the model with ops of both{own * (ours is None)}"
            )


def check_callbacks(needed: Json, given: Mapping[str, Any]) -> None:
    """Raise SaveError for a name that is not bound."""
    for name, row in needed.items():
        door, _ = taken(row, "a callback", door=str, Tout=object)
        if name not in given:
            raise SaveError(
                f"a saved model was to be loaded that calls the {door:.20} {name!r:.40}: its body "
                "is Python, which no file holds, and no function was given for it; write "
                f"load(..., callbacks={{{name!r:.40}: function}})"
            )


def variable(archive: Archive, i: int, row: Json) -> tuple[str | None, Variable]:
    """The path of a Variable, if it has one, and the Variable."""
    name, path, text, trainable = taken(
        row, "a Variable", name=str | None, path=str | None, spec=str, trainable=bool
    )
    spec: Spec = spec_from(text)
    array = archive.array(f"variables/{i}.npy", spec)
    return path, Variable(array, name, trainable)


def module_of(
    variables: Sequence[tuple[str, Variable]], functions: Sequence[tuple[str | None, Any]]
) -> LoadedModule:
    """The Module of named parts. Raises SaveError where two have one name, or one none."""
    named: dict[str, Variable] = dict(variables)
    called: dict[str, Any] = {}
    for path, function in functions:
        require(path is not None and path not in called, f"a function at {path!r:.40}")
        called[str(path)] = function
    paths = [*(path for path, _ in variables), *called]
    require(len(set(paths)) == len(paths), "two parts with one path")
    for path in paths:
        first = path.split(".")[0]
        taken_names = {*dir(Module), "functions"} - {"__call__"}
        sound = path and len(path) <= limits.NAME and first not in taken_names
        require(sound, f"a part at {path!r:.40}")
    try:
        return LoadedModule(named, called)
    except (SpecError, AttributeError, TypeError) as error:
        raise damaged(f"parts that do not go together: {error}") from None
