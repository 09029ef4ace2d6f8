"""Modules in two: what works by LLVM's good code generator, what only calls by the quick one."""

import ctypes

from minigrad.codegen import jit
from minigrad.codegen.parts import only_calls, parts
from tests.unit.codegen.native import needs_llvm

IR = """module asm ".text"
@other = external global i8
@one = internal constant double 1.0
declare double @llvm.sqrt.f64(double)
define internal double @root(double %x) #0 {
  %y = call double @llvm.sqrt.f64(double %x)
  %z = load double, ptr @one
  %sum = fadd double %y, %z
  ret double %sum
}

define internal void @task(ptr %x) #1 {
  %v = load double, ptr %x
  %y = call double @root(double %v)
  store double %y, ptr %x
  ret void
}

define void @"both.times"(ptr %x) #0 {
  call void @task(ptr %x)
  call void @task(ptr %x)
  ret void
}

define internal void @all(ptr %x) #1 {
  call void @"both.times"(ptr %x)
  ret void
}

define void @start(ptr %x) nounwind noinline optnone {
  call void @all(ptr %x)
  ret void
}

attributes #0 = { nounwind }
attributes #1 = { nounwind noinline optnone }
"""


def started(code: jit.Code, x: float) -> float:
    """What `start` leaves where x was."""
    place = ctypes.c_double(x)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code["start"])(ctypes.addressof(place))
    return place.value


@needs_llvm
def test_a_module_in_two_does_what_it_does_in_one():
    one, two = [jit.compile_module(IR, ["start"], {"other": 0}, parted=p) for p in (False, True)]
    assert len(one.keys) == 1 and len(two.keys) == 2
    assert started(one, 9.0) == started(two, 9.0) == 3.0


def test_each_part_has_what_it_names_and_the_first_has_the_constants():
    working, calling = parts(IR)
    assert (working.quick, calling.quick) == (False, True)
    assert "define double @root" in working.text and "declare double @root" in calling.text
    assert "define void @task" in calling.text and "declare void @task" in working.text
    assert 'define void @"both.times"' in working.text and "@start" not in working.text
    assert "@one =" in working.text and "@one =" not in calling.text
    assert "module asm" in calling.text and "module asm" not in working.text
    assert all("@other = external" in part.text for part in (working, calling))


def test_a_second_module_is_made_for_several_functions_alone():
    assert len(parts(IR.replace("@all(ptr %x) #1", "@all(ptr %x) #0"))) == 1


def test_what_only_calls_and_what_only_works_is_not_parted():
    calling = parts(IR)[1].text
    assert parts(calling) == [(calling, True)] and only_calls(calling)
    working = "define void @f() #0 {\n  ret void\n}\n"
    assert parts(working) == [(working, False)] and not only_calls(working)
