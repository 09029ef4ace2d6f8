"""DLPack, both ways: shared where nobody can write, copied elsewhere, refused in words."""

import ctypes
import sys
import types
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import EscapedGradientError, SpecError


class Producer:
    """An array of another library: what it hands over, and where it says that it lies."""

    def __init__(self, capsule: Any, device: Any = (1, 0)) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> Any:
        return self.device


def test_tensors_are_copied_out_and_shared_read_only_on_demand() -> None:
    x = mg.ones(3)
    copied = np.from_dlpack(x)
    copied[0] = 5
    shared = np.from_dlpack(x, copy=False)
    assert np.shares_memory(shared, x.numpy()) and not shared.flags.writeable
    np.testing.assert_array_equal(x, np.ones(3))
    np.testing.assert_array_equal(np.from_dlpack(mg.Variable([1.0, 2.0])), [1.0, 2.0])
    with pytest.raises(BufferError):  # a consumer that knows no read-only arrays
        x.__dlpack__(copy=False)


def test_what_comes_in_is_copied_unless_it_cannot_change() -> None:
    a = np.ones(3)
    x = mg.from_dlpack(a)
    y = mg.from_dlpack(Producer(a.__dlpack__()))
    a[:] = 7
    np.testing.assert_array_equal(mg.stack([x, y]), np.ones((2, 3)))
    assert mg.from_dlpack(x) is x and mg.from_dlpack(x, copy=True) is not x
    a.flags.writeable = False
    assert np.shares_memory(mg.from_dlpack(a, copy=False).numpy(), a)
    for writable in (np.ones(3), Producer(np.ones(3).__dlpack__())):
        with pytest.raises(SpecError, match="leave copy out"):
            mg.from_dlpack(writable, copy=False)


def test_arrays_of_a_library_that_never_changes_them_are_shared() -> None:
    module = types.ModuleType("jaxlib")
    exec("class ArrayImpl: pass", module.__dict__)
    kind = module.__dict__["ArrayImpl"]
    kind.__module__ = "jaxlib"
    a = np.ones(3)
    array = kind()
    kind.__dlpack__ = lambda self, **options: a.__dlpack__(**options)
    kind.__dlpack_device__ = lambda self: (1, 0)
    assert np.shares_memory(mg.from_dlpack(array).numpy(), a)
    assert not np.shares_memory(mg.from_dlpack(array, copy=True).numpy(), a)


def test_a_capsule_is_consumed_once() -> None:
    used = Producer(np.ones(3).__dlpack__())
    np.testing.assert_array_equal(mg.from_dlpack(used), np.ones(3))
    with pytest.raises(SpecError, match="is handed over once"):
        mg.from_dlpack(used)


@pytest.mark.parametrize("device", [(2, 0), (99, 0), (), None, "cpu"])
def test_other_devices_are_refused_before_anything_is_handed_over(device: Any) -> None:
    producer = Producer(np.ones(3).__dlpack__(), device)
    with pytest.raises(SpecError, match="lies in the memory of this machine"):
        mg.from_dlpack(producer)
    producer.device = (1, 0)
    np.testing.assert_array_equal(mg.from_dlpack(producer), np.ones(3))


@pytest.mark.parametrize("x", [3, None, [1.0], object(), np.ones(3).__dlpack__(), Producer(5)])
def test_what_is_no_array_of_dlpack_is_refused(x: Any) -> None:
    with pytest.raises(SpecError, match="gave no array"):
        mg.from_dlpack(x)


def test_dtypes_that_numpy_does_not_have_are_refused() -> None:
    capsule = np.ones(3, np.float16).__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    # DLTensor: data, device (two int32), ndim (int32), then the code of the dtype
    code = ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + 8 + 8 + 4)
    code.value = 4  # bfloat16
    with pytest.raises(SpecError, match="gave no array"):
        mg.from_dlpack(Producer(capsule))


def test_a_value_that_leaves_by_dlpack_is_noticed() -> None:
    @mg.py_function(Tout=mg.float32)
    def body(x: Any) -> Any:
        return mg.from_dlpack(np.from_dlpack(x)) * 2.0

    x = mg.constant(3.0)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = body(x)
    with pytest.raises(EscapedGradientError):
        tape.gradient(y, x)
    assert "torch" not in sys.modules
