"""Calls into native code, by builtin functions and by ctypes: the same tests over both."""

import gc
import sys
import weakref

import numpy as np
import pytest

from minigrad.codegen import call as call_path
from minigrad.codegen import objects
from minigrad.codegen.call import PortableCall, compile_callable, fast_path
from minigrad.codegen.emitter import VectorEmitter
from minigrad.codegen.fastcall import ArraySpec, Signature
from minigrad.codegen.text import Module
from minigrad.core.tensor import tensor_of
from minigrad.errors import SpecError
from minigrad.variable import Cell
from tests.unit.codegen.native import needs_llvm

F4, F8, I8, BOOL = (np.dtype(name) for name in ("float32", "float64", "int64", "bool"))


@pytest.fixture(params=["fast", "portable"], autouse=True)
def path(request, monkeypatch):
    """One of the two ways in."""
    if request.param == "portable":
        monkeypatch.setenv("MINIGRAD_PORTABLE_CALL", "1")
    elif not fast_path():
        pytest.skip("builtins are not trusted here")
    return request.param


pytestmark = needs_llvm


def elementwise(body, inputs, outputs, **cells):
    """A callable: each of the outputs is one of the values `body(emitter, *elements)`."""
    module = Module()
    names = [f"%x{k}" for k in range(len(inputs))], [f"%y{k}" for k in range(len(outputs))]
    function = module.function("kernel", [f"ptr {name}" for name in (*names[0], *names[1])])
    e = VectorEmitter(function, 1)
    size = int(np.prod((*inputs, *outputs)[0].shape))
    with e.loop(0, size) as loop:
        columns = zip(names[0], inputs, strict=True)
        values = body(e, *(e.load(name, loop.index, spec.dtype) for name, spec in columns))
        for name, value in zip(names[1], values, strict=True):
            e.store(value, name, loop.index)
    return compile_callable(module.render(), Signature("kernel", inputs, outputs, **cells))


def muladd(shape=(2, 3), dtype=F4):
    """The callable x * y + z."""
    spec = ArraySpec(shape, dtype)
    return elementwise(lambda e, x, y, z: [e.add(e.mul(x, y), z)], [spec] * 3, [spec])


def arrays(shape=(2, 3), dtype=F4):
    """Three arrays of small whole numbers."""
    rng = np.random.default_rng(0)
    return [rng.integers(-9, 9, shape).astype(dtype) for _ in range(3)]


def check(kernel, x, y, z):
    """The kernel computes x * y + z into a fresh array of native dtype."""
    result = kernel(x, y, z)
    expected = np.asarray(x) * np.asarray(y) + np.asarray(z)
    assert type(result) is np.ndarray and result.flags.c_contiguous and result.flags.owndata
    np.testing.assert_array_equal(result, expected)
    return result


def test_the_way_is_the_one_asked_for(path):
    assert isinstance(muladd(), PortableCall) == (path == "portable")


@pytest.mark.parametrize("shape", [(), (8,), (2, 3), (2, 3, 4, 5), (0,), (3, 0, 2), (1, 1)])
@pytest.mark.parametrize("dtype", [F4, F8, I8], ids=str)
def test_arrays_go_in_and_a_fresh_one_comes_out(shape, dtype):
    x, y, z = arrays(shape, dtype)
    result = check(muladd(shape, dtype), x, y, z)
    assert result.shape == shape and result.dtype is dtype
    assert not any(np.shares_memory(result, a) for a in (x, y, z))


def test_other_layouts_are_converted():
    x, y, z = arrays()
    kernel = muladd()
    wide = np.zeros((2, 6), F4)
    wide[:, ::2] = y
    raw = bytearray(x.nbytes + 1)
    unaligned = np.frombuffer(raw, F4, count=6, offset=1).reshape(2, 3)
    unaligned[:] = z
    frozen = x.copy()
    frozen.flags.writeable = False
    assert not unaligned.flags.aligned
    check(kernel, np.asfortranarray(x), wide[:, ::2], unaligned)
    check(kernel, x[::-1], y[:, ::-1], np.broadcast_to(F4.type(3), (2, 3)))
    check(kernel, frozen, x.astype(">f4"), z)
    check(kernel, np.ma.array(x), y, z.tolist() and z)
    np.testing.assert_array_equal(x, frozen)


def test_native_code_sees_aligned_memory_and_that_of_the_array_itself():
    ir = """define void @kernel(ptr %x, ptr %y) {
      %address = ptrtoint ptr %x to i64
      store i64 %address, ptr %y
      ret void
    }
    """
    specs = [ArraySpec((4,), F4)], [ArraySpec((), I8)]
    kernel = compile_callable(ir, Signature("kernel", *specs))
    x = np.zeros(4, F4)
    assert kernel(x) == x.ctypes.data
    unaligned = np.frombuffer(bytearray(17), F4, count=4, offset=1)
    assert kernel(unaligned) % 4 == 0


def test_scalars_are_taken_for_arrays_of_no_axes():
    kernel = muladd(())
    check(kernel, F4.type(2), np.array(3, F4), 4)
    check(kernel, 0.5, True, F4.type(1))


def test_the_other_name_of_a_dtype_is_the_same_dtype():
    x, y, z = arrays((4,), np.dtype("longlong"))
    check(muladd((4,), I8), x, y, z)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((2, 3), F8), r"input 1 is float64\[2, 3\].*float32\[2, 3\]"),
        (np.zeros((3, 2), F4), r"input 1 is float32\[3, 2\]"),
        (np.zeros(6, F4), r"input 1 is float32\[6\]"),
        (None, "input 1 is object"),
        (1.0, r"input 1 is float32\[\]"),
    ],
)
def test_another_shape_or_dtype_is_refused(wrong, words):
    x, _, z = arrays()
    with pytest.raises(SpecError, match=words):
        muladd()(x, wrong, z)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_the_number_of_arguments_is_checked(count):
    with pytest.raises(SpecError, match=f"called with {count} arrays; the kernel takes 3"):
        muladd()(*[np.zeros((2, 3), F4)] * count)


def test_several_outputs_make_a_tuple():
    specs = [ArraySpec((5,), dtype) for dtype in (F4, BOOL, F8)]
    kernel = elementwise(
        lambda e, x: [x, e.compare(">", x, e.const(2, F4)), e.cast(x, F8)], specs[:1], specs
    )
    x = np.arange(5, dtype=F4)
    same, large, wide = kernel(x)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(large, x > 2)
    np.testing.assert_array_equal(wide, x)
    assert (same.dtype, large.dtype, wide.dtype) == (F4, BOOL, F8)


def test_no_outputs_and_no_inputs():
    assert elementwise(lambda e, x: [], [ArraySpec((2,), F4)], [])(np.zeros(2, F4)) == ()
    spec = ArraySpec((3,), F4)
    ones = elementwise(lambda e: [e.const(1, F4)], [], [spec])()
    np.testing.assert_array_equal(ones, np.ones(3))


def stepping(over=frozenset({1})):
    """A callable that adds an array to that of a cell, and gives their product."""
    spec = ArraySpec((4,), F4)
    return elementwise(
        lambda e, x, y: [e.mul(x, y), e.add(x, y)],
        [spec] * 2,
        [spec] * 2,
        cells=frozenset({0}),
        written={1: 0},
        over=over,
    )


def stepped(kernel, cell, path):
    """Whether a step wrote over the array of `cell`; its results are checked."""
    place, before = cell._value.ctypes.data, cell._value.copy()
    product = kernel(cell, np.full(4, 2, F4))
    np.testing.assert_array_equal(product, before * 2)
    np.testing.assert_array_equal(cell._value, before + 2)
    return cell._value.ctypes.data == place


def test_what_a_cell_alone_holds_is_written_over(path):
    cell = Cell(np.arange(4, dtype=F4), None, trainable=True)
    kernel = stepping()
    for _ in range(3):
        assert stepped(kernel, cell, path) == (path == "fast")
    assert not stepped(stepping(over=frozenset()), cell, path)


@pytest.mark.parametrize(
    "hold",
    [
        lambda cell: cell._value,
        lambda cell: cell._value[1:],
        lambda cell: cell._value.reshape(2, 2),
        lambda cell: memoryview(cell._value),
        lambda cell: cell._value.__dlpack__(),
        lambda cell: np.from_dlpack(cell._value),
        lambda cell: weakref.ref(cell._value),
        lambda cell: tensor_of(cell._value),
        lambda cell: Cell(cell._value, None, trainable=True),
        lambda cell: np.frombuffer(cell._value, np.uint8),
        lambda cell: [cell._value],
    ],
    ids=[
        "array",
        "view",
        "reshaped",
        "memoryview",
        "capsule",
        "dlpack",
        "weak",
        "tensor",
        "cell",
        "buffer",
        "list",
    ],
)
def test_what_another_holds_keeps_its_value(hold, path):
    cell, kernel = Cell(np.arange(4, dtype=F4), None, trainable=True), stepping()
    held = hold(cell)
    assert not stepped(kernel, cell, path)
    assert held is not None
    assert stepped(kernel, cell, path) == (path == "fast")  # the new array is the cell's own


def test_memory_that_is_not_the_arrays_own_is_not_written_to(path):
    memory = bytearray(np.arange(4, dtype=F4).tobytes())
    frozen = np.arange(4, dtype=F4)
    frozen.flags.writeable = False
    for array in (np.frombuffer(memory, F4), frozen, np.arange(8, dtype=F4)[::2]):
        cell = Cell(array, None, trainable=True)
        copy = array.copy()
        del array
        held = memory.copy()
        assert not stepped(stepping(), cell, path)
        assert memory == held and copy is not cell._value


def test_cells_are_left_alone_by_a_call_that_fails():
    cell, kernel = Cell(np.arange(4, dtype=F4), None, trainable=True), stepping()
    with pytest.raises(SpecError, match=r"input 1 is float32\[3\]"):
        kernel(cell, np.zeros(3, F4))
    np.testing.assert_array_equal(cell._value, np.arange(4))


def test_references_to_what_cells_held_are_given_back():
    cell, kernel = Cell(np.arange(4, dtype=F4), None, trainable=True), stepping(frozenset())
    old, y = cell._value, np.zeros(4, F4)
    kernel(cell, y)
    assert sys.getrefcount(old) == 2
    before = sys.getrefcount(cell)
    for _ in range(1000):
        kernel(cell, y)
    new = cell._value
    assert sys.getrefcount(cell) == before and sys.getrefcount(new) == 3


def test_an_arena_begins_at_a_line_of_the_cache():
    ir = """define void @kernel(ptr %y, ptr %arena) {
      %address = ptrtoint ptr %arena to i64
      store i64 %address, ptr %y
      %end = getelementptr i8, ptr %arena, i64 SIZE
      store i8 1, ptr %end
      ret void
    }
    """
    for size in (1, 1000, 40_000, 1 << 20):
        signature = Signature("kernel", [], [ArraySpec((), I8)], arena=size)
        assert compile_callable(ir.replace("SIZE", str(size - 1)), signature)() % 64 == 0


def test_references_are_counted_right():
    kernel = muladd()
    x, y, z = arrays()
    counted = (x, F4, np.ndarray, None)
    gc.collect()  # what tests before have left would be counted when it goes
    before = [sys.getrefcount(thing) for thing in counted]
    for _ in range(1000):
        kernel(x, y, z)
        kernel(x[::-1], y, z)
    after = [sys.getrefcount(thing) for thing in counted]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True))


def test_code_lives_and_dies_with_the_callable(monkeypatch):
    made = []
    compile_module = call_path.jit.compile_module

    def remember(*args, **kwargs):
        code = compile_module(*args, **kwargs)
        made.append(weakref.ref(code))
        return code

    monkeypatch.setattr(call_path.jit, "compile_module", remember)
    kernel = muladd()
    gc.collect()
    check(kernel, *arrays())
    assert made[0]() is not None
    del kernel
    gc.collect()
    assert made[0]() is None


def test_an_error_of_the_conversion_is_the_error_of_the_call():
    class Refusing:
        def __array__(self, dtype=None, copy=None):
            raise OverflowError("no")

    with pytest.raises(OverflowError, match="no"):
        muladd()(Refusing(), *arrays()[1:])


def test_layouts_are_tried_out(monkeypatch):
    assert objects.layout_holds(np.zeros((2, 3)))
    monkeypatch.setattr(objects, "DIMS", objects.DIMS + 8)
    assert not objects.layout_holds(np.zeros((2, 3)))
