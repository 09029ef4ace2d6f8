"""Compile LLVM assembly to native code in this process, once per machine: objects are cached.

The only file that imports llvmlite, and it does so at the first compile.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import itertools
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from . import cache
from .parts import Part, parts
from .workers import Job, Library, Workers, processors

OPTIONS = "opt=3 jitlink sroa wide asm"
"""What of our own choices decides the object; part of the cache key."""

DECLARED = re.compile(r'declare [^@\n]*@"((minigrad\.\w+)[^"]*)"')
"""Functions of ours that a module declares: the name, and its beginning."""

COPY = "minigrad.copy"
"""`ptr copy(ptr target, ptr source, i64 bytes)`, of the C library."""

shared: dict[str, Callable[[str], Import]] = {
    COPY: lambda name: ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0
}
"""What gives the functions that modules share, by the beginning of their names."""

ahead: dict[str, Callable[[str], Job | None]] = {}
"""What has other threads begin with those of `shared` that are compiled; asked again and again."""

T = TypeVar("T")

lock = threading.RLock()
serial = itertools.count()


@functools.cache
def installed() -> bool:
    """Whether llvmlite can be imported."""
    return importlib.util.find_spec("llvmlite") is not None


def available() -> bool:
    """Whether native code can be made: llvmlite is there, and MINIGRAD_DISABLE_LLVM is not 1."""
    return os.environ.get("MINIGRAD_DISABLE_LLVM") != "1" and installed()


@functools.cache
def llvm() -> Any:
    """llvmlite's binding, made ready; importing it takes some 45 ms."""
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    return binding


@dataclass(frozen=True)
class Host:
    """The machine that code is made for."""

    triple: str
    cpu: str
    features: str

    @property
    def vector_bytes(self) -> int:
        """The width of the widest vector register, in bytes: 64, 32 or 16."""
        features = self.features.split(",")
        if "+avx512f" in features or self.cpu == "x86-64-v4":
            return 64
        return 32 if "+avx2" in features or self.cpu == "x86-64-v3" else 16

    @property
    def choices(self) -> str:
        """The features as LLVM is told them: those that the processor's name does not imply.

        It takes LLVM half a millisecond to go through the others. Vectors may be of all widths:
        said of each function, LLVM made its tables anew for those that did not say so.
        """
        if not self.triple.startswith("x86"):
            return self.features
        names = self.features.split(",") if self.features else []
        if not self.cpu.startswith(("x86-64", "generic")):
            names = [name for name in names if name.startswith("-")]
        return ",".join([*names, "-prefer-256-bit"])

    @property
    def converts_halves(self) -> bool:
        """Whether there are instructions between float16 and float32: else LLVM calls functions."""
        if not self.triple.startswith("x86"):
            return self.triple.startswith(("aarch64", "arm64"))
        return "+f16c" in self.features.split(",") or self.cpu in ("x86-64-v3", "x86-64-v4")


@functools.cache
def host() -> Host:
    """The machine this process runs on, or the one of MINIGRAD_CPU, by LLVM's name for it."""
    binding = llvm()
    if cpu := os.environ.get("MINIGRAD_CPU"):
        return Host(binding.get_process_triple(), cpu, "")
    features = binding.get_host_cpu_features().flatten()
    return Host(binding.get_process_triple(), binding.get_host_cpu_name(), features)


def converts_halves() -> bool:
    """Whether native code can be made that has float16 in memory."""
    return available() and host().converts_halves


def target_machine(*, quick: bool = False) -> Any:
    """A new code generator for this machine. quick: as in `compile_module`."""
    target = llvm().Target.from_triple(host().triple)
    level = 0 if quick else 3
    return target.create_target_machine(
        cpu=host().cpu, features=host().choices, opt=level, jit=True, codemodel="jitdefault"
    )


@functools.cache
def generator(*, quick: bool = False) -> Any:
    """The code generator that objects are made by, but for those that workers make."""
    return target_machine(quick=quick)


@functools.cache
def linker() -> Any:
    """The one LLJIT of this process."""
    return llvm().create_lljit_compiler(target_machine(), use_jit_link=True)


class Code:
    """Native code in memory. It is unloaded when the last reference to this object is gone.

    keys: the names of its objects in the cache. imports: what it refers to, which lives as long.
    """

    def __init__(
        self,
        tracker: Any,
        symbols: Sequence[str],
        keys: Sequence[str],
        imports: Mapping[str, Import],
    ) -> None:
        self.tracker = tracker
        self.keys = keys
        self.imports = imports
        self.addresses = {name: int(tracker[name]) for name in symbols}

    def __getitem__(self, symbol: str) -> int:
        """The address of `symbol`."""
        return self.addresses[symbol]


class Export(NamedTuple):
    """A function of other code."""

    code: Code
    symbol: str


Import: TypeAlias = "int | np.ndarray[Any, Any] | Export"
"""What is behind a symbol that a module declares: an address, elements, or other code's function.

It is not part of the object, and may differ from one process to the next.
"""


def compile_module(
    ir: str,
    symbols: Sequence[str],
    imports: Mapping[str, Import] | None = None,
    *,
    sroa: bool = False,
    quick: bool = False,
    parted: bool = False,
) -> Code:
    """Compile the LLVM assembly `ir`, or take its object from the cache, and load it.

    symbols: functions of `ir` whose addresses are wanted.
    imports: the external symbols that `ir` declares. Those of `shared` need not be given.
    sroa: turn allocas of scalars and vectors into registers first.
    quick: in a third of the time, to code that takes a few times as long; for what runs seldom,
    or only calls what takes time.
    parted: make two objects, where that is sooner done; they take longer to link, by 40 us.
    Raises RuntimeError where LLVM rejects `ir`.
    """
    modules = parts(ir) if parted else [Part(ir, quick=quick)]
    ahead = [begin(text, quick=one_quick) for text, one_quick in modules] if parted else []
    imports = {**declared(ir, shared), **(imports or {})}
    images = {}
    for text, one_quick in modules:
        key = cache_key(text, sroa=sroa, quick=one_quick)
        begun = workers().find(key)
        if begun is None:
            images[key] = made(key, text, partial(emit_object, sroa=sroa, quick=one_quick))
        else:
            images[key] = begun.result()
    del ahead  # kept so far, as what is made ahead is made for those who keep it
    return load(images, symbols, imports)


def load(
    images: Mapping[str, bytes], symbols: Sequence[str], imports: Mapping[str, Import]
) -> Code:
    """The code of the objects `images`, by their names in the cache."""
    with lock:
        library = llvm().JITLibraryBuilder()
        for image in images.values():
            library.add_object_img(image)
        for name, found in imports.items():
            library.import_symbol(name, address(found))
        for name in symbols:
            library.export_symbol(name)
        tracker = library.link(linker(), f"minigrad{next(serial)}")
        return Code(tracker, symbols, list(images), imports)


def address(found: Import) -> int:
    """Where in memory an import is."""
    if isinstance(found, Export):
        return found.code[found.symbol]
    return int(found.ctypes.data) if isinstance(found, np.ndarray) else found


def declared(ir: str, known: Mapping[str, Callable[[str], T]]) -> dict[str, T]:
    """What `known` gives, by the beginning of their names, for functions that `ir` declares."""
    found = [(name, beginning) for name, beginning in DECLARED.findall(ir) if beginning in known]
    return {name: known[beginning](name) for name, beginning in found}


def begin(ir: str, *, quick: bool = False) -> Job | None:
    """Have the object of `ir` made by another thread, for a `compile_module` that follows.

    And those of functions that it shares with others. They are made while the result is kept. None
    where nothing is gained: on one processor, or where threads cannot work at the same time. quick:
    as there.
    """
    if workers().most == 1:
        return None
    job = workers().begin(cache_key(ir, sroa=False, quick=quick), ir, quick=quick)
    if job is not None:
        job.others = [*declared(ir, ahead).values()]
    return job


def begin_parts(ir: str) -> list[Job | None]:
    """As `begin`, for a `compile_module` of parts."""
    return [begin(text, quick=quick) for text, quick in parts(ir)]


def made(key: str, ir: str, emit: Callable[[str], bytes]) -> bytes:
    """The object of `ir` from the cache, or else made by `emit`, and put there."""
    image = cache.read(key)
    if image is None:
        image = emit(ir)
        cache.write(key, image)
    return image


@functools.cache
def workers() -> Workers:
    """The threads that make objects."""
    from llvmlite.binding import ffi

    try:
        library, most = Library(ffi.lib._name), processors()
    except (AttributeError, OSError):  # not the llvmlite that is known: its turns are taken
        library, most = None, 1

    def make(machines: Any, job: Job) -> bytes:
        assert library is not None
        machine = machines(quick=job.quick)
        address = ctypes.cast(machine._ptr, ctypes.c_void_p).value or 0
        return made(job.key, job.ir, partial(library.emit_object, address))

    return Workers(most, partial(functools.cache, target_machine), make)


def assembly(ir: str, *, sroa: bool = False) -> str:
    """The machine code made of the LLVM assembly `ir`, as assembly text of this machine."""
    with lock:
        return str(generator().emit_assembly(parse(ir, sroa=sroa)))


def emit_object(ir: str, *, sroa: bool, quick: bool = False) -> bytes:
    """The object file made of the LLVM assembly `ir`."""
    with lock:
        return bytes(generator(quick=quick).emit_object(parse(ir, sroa=sroa)))


def parse(ir: str, *, sroa: bool) -> Any:
    """The module of the LLVM assembly `ir`, checked."""
    binding = llvm()
    module = binding.parse_assembly(ir)
    module.verify()
    if sroa:
        options = binding.create_pipeline_tuning_options(speed_level=1)
        builder = binding.create_pass_builder(generator(), options)
        passes = binding.create_new_function_pass_manager()
        passes.add_sroa_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
    return module


@functools.lru_cache(maxsize=64)
def cache_key(ir: str, *, sroa: bool, quick: bool = False) -> str:
    """The name of the object of `ir`: a hash of all that decides it.

    Kept for those who have begun with it, and will ask again: hashing lets other threads go first.
    """
    return digest(*circumstances(), str(sroa), str(quick), ir)


def digest(*parts: str) -> str:
    """A hash of `parts`, of which none but the last may have lines."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def circumstances() -> tuple[str, ...]:
    """What decides an object besides its text: the versions of LLVM, the machine, our choices."""
    import llvmlite

    machine = host()
    version = ".".join(map(str, llvm().llvm_version_info))
    return llvmlite.__version__, version, machine.triple, machine.cpu, machine.features, OPTIONS
