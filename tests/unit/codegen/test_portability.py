"""Code for other machines: without FMA and wide vectors the same results, elsewhere no detours."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

import minigrad as mg
from minigrad.codegen import jit

pytestmark = pytest.mark.skipif(not jit.available(), reason="native code needs llvmlite")

ONE = "exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(mg, name) for name in [*ONE.split(), "sqrt", "floor", "round", "sign"]},
    "erf": mg.special.erf,
    "erfc": mg.special.erfc,
    "erfcx": mg.special.erfcx,
    "erfinv": mg.special.erfinv,
    "ndtr": lambda x: mg.special.ndtr(x * 9),
    "expit": mg.special.expit,
    "gammaln": lambda x: mg.special.gammaln(x * 5 - 2),
    "digamma": lambda x: mg.special.digamma(x + 1),
    "power": lambda x: x ** (x + 1),
    "atan2": lambda x: mg.atan2(x, x + 1),
    "remainder": lambda x: mg.remainder(x, x + 2),
    "softmax": lambda x: mg.nn.softmax(x[None] * x[:, None], axis=-1),
    "var": mg.var,
    "matmul": lambda x: (x[None] * x[:, None]) @ (x[None] + x[:, None]),
}

PROGRAM = """
import itertools, numpy as np, minigrad as mg
from tests.unit.codegen.test_portability import FUNCTIONS
for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
    x = mg.constant(np.linspace(0.01, 0.99, 67), dtype)
    for name, f in FUNCTIONS.items():
        f = (lambda f: lambda x: f(x + 1) if f is mg.acosh else f(x))(f)
        compiled = mg.function(f, jit_compile=True)
        np.testing.assert_allclose(
            compiled(x).numpy(), f(x).numpy(), rtol=tolerance, atol=tolerance, err_msg=name)
for source, target in itertools.permutations(("float16", "float32", "float64", "int32"), 2):
    for shape in ((), (67,)):
        y = mg.astype(mg.constant(np.resize(np.linspace(-9, 9, 67), shape)), source)
        cast = lambda y: mg.astype(y, target) * 2
        np.testing.assert_array_equal(mg.function(cast, jit_compile=True)(y), cast(y))
z = mg.constant(np.linspace(0.01, 0.99, 67)[:, None] * np.array([1, 1j, 1 + 1j, 2]))
rows = lambda z: mg.sum(mg.tanh(z), axis=1, keepdims=True) * z
np.testing.assert_allclose(mg.function(rows, jit_compile=True)(z).numpy(), rows(z).numpy())
g = mg.function(lambda x: mg.exp(x) * x + x, jit_compile=True)
text = g.compiler_ir(x, stage="assembly")
print("fma" in text, "zmm" in text, "ymm" in text)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of x86-64 CPUs")
@pytest.mark.parametrize(
    "cpu, fma, widest",
    [("x86-64", False, 128), ("x86-64-v2", False, 128), ("x86-64-v3", True, 256)],
)
def test_a_lesser_machine_computes_the_same(cpu: str, fma: bool, widest: int) -> None:
    if not jit.host().triple.startswith("x86_64") or jit.host().vector_bytes < widest // 8:
        pytest.skip("this machine does not run that code")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "MINIGRAD_CPU": cpu},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(fma), "False", str(widest == 256)]


@pytest.fixture
def arm() -> Iterator[None]:
    """Code is made for a 64-bit Arm, and read, not run."""
    binding = jit.llvm()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    host = jit.Host("aarch64-unknown-linux-gnu", "neoverse-n1", "")
    jit.generator.cache_clear()
    with patch.object(jit, "host", lambda: host):
        yield
    jit.generator.cache_clear()


def called(assembly: str) -> set[str]:
    """The functions that assembly of Arm calls, but for its own and that of the threads."""
    own = {"minigrad.submit", *re.findall(r"^([\w.]+):", assembly, re.MULTILINE)}
    return set(re.findall(r"\t(?:b|bl|blr|br)\t([\w.]+)", assembly)) - own


def test_calls_are_seen_in_assembly_of_arm(arm: None) -> None:
    text = "declare float @llvm.cos.f32(float)\ndefine float @f(float %x) {\n"
    text += "  %y = call float @llvm.cos.f32(float %x)\n  ret float %y\n}\n"
    assert called(jit.assembly(text)) == {"cosf"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_code_for_arm_calls_no_library(arm: None, dtype: str) -> None:
    x = mg.ones(70, dtype=dtype)
    for name, f in FUNCTIONS.items():
        if name == "matmul":  # that of another machine's BLAS, or native
            continue
        text = mg.function(f, jit_compile=True).compiler_ir(x, stage="assembly")
        assert called(text) == set(), name
