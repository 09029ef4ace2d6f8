"""Files that mean harm, or were damaged: all raise SaveError, soon, and in little memory."""

import copy
import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import SaveError
from minigrad.saved_model import limits, load, save
from minigrad.saved_model.model import dumped, loaded, read
from tests.unit.saved_model.doctored import doctored, members, one_graph, packed
from tests.unit.saved_model.models import MODELS

FILES = {name: dumped(build()) for name, build in MODELS.items()}
SECONDS, MEMORY = 5.0, 100 << 20


def refuse(data: bytes, words: str = "", *, memory: int = MEMORY) -> str:
    """Load `data`, which must raise SaveError of `words` in bounded time and memory."""
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(SaveError, match=words or None) as caught:
            loaded(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert peak < memory + 8 * len(data)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


# the zip


def test_something_else_is_no_model() -> None:
    refuse(b"")
    refuse(b"PK\x05\x06" + bytes(18), "no member manifest.json")
    refuse(b"\x80\x04N.", "not what minigrad writes")
    refuse(packed({"model.txt": b"hello"}), "no member manifest.json")
    refuse(packed({"manifest.json": b'{"format": "other"}'}), "no saved model")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(name: str) -> None:
    data = FILES[name]
    for n in range(0, len(data), max(1, len(data) // 40)):
        refuse(data[:n])
    refuse(data[len(data) // 2 :])


def test_members_by_names_of_their_own() -> None:
    parts = members(FILES["network"])
    for name in ("../../evil", "/etc/evil", "variables/99.npy", "code.py", "C:\\evil", "a\x00b"):
        refuse(packed(parts | {name: b"x"}), "which nothing refers to")


def test_a_member_twice() -> None:
    parts = list(members(FILES["network"]).items())
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed([*parts, parts[0]])
    refuse(data, "'manifest.json' twice")


def test_a_missing_member() -> None:
    for name in members(FILES["network"]):
        parts = members(FILES["network"])
        del parts[name]
        refuse(packed(parts), f"no member {name}")


def test_a_compressed_bomb_is_not_opened() -> None:
    bomb = packed({"manifest.json": bytes(50 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    refuse(bomb, "compressed", memory=4 << 20)


def test_members_that_overlap() -> None:
    """The directory lists a thousand members, which all are the same bytes of the file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("0", bytes(100_000))
        first = file.infolist()[0]
        for i in range(1, 1000):
            other = copy.copy(first)
            other.filename = str(i)
            file.filelist.append(other)
            file.NameToInfo[str(i)] = other
    refuse(stream.getvalue(), "members of 100000000 bytes", memory=4 << 20)


def test_sizes_that_are_not_true() -> None:
    data = bytearray(FILES["control"])
    at = data.rindex(b"PK\x01\x02")  # the last entry of the directory
    for field in (20, 24, 42):  # compressed size, size, place
        wrong = bytearray(data)
        wrong[at + field : at + field + 4] = struct.pack("<I", 0x7FFFFFFF)
        refuse(bytes(wrong), memory=4 << 20)


def test_a_member_that_says_it_is_encrypted() -> None:
    data = bytearray(FILES["control"])
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    refuse(bytes(data), "' encrypted: that")


def test_bytes_that_do_not_fit_their_checksum() -> None:
    data = FILES["network"].replace(b'"tanh"', b'"sinh"')
    refuse(data, "CRC")


# arrays


def with_array(member: bytes) -> bytes:
    """The network with another file in the place of w."""
    return packed(members(FILES["network"]) | {"variables/0.npy": member})


def npy(header: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An .npy file of any header."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + data


def test_arrays_that_are_not_what_they_should_be() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([print, None], object), allow_pickle=True)
    refuse(with_array(stream.getvalue()), "dtype object")
    head = "{'descr': %r, 'fortran_order': False, 'shape': %s}"
    refuse(with_array(npy(head % ("<f4", "(3, 4)"), bytes(47))), "of 47 bytes, not 48")
    refuse(with_array(npy(head % ("<f4", "(3, 4)"), bytes(49))), "of 49 bytes, not 48")
    refuse(with_array(npy(head % ("<f8", "(3, 4)"), bytes(96))), r"float64\[3,4\]")
    refuse(with_array(npy(head % ("<f4", "(4, 3)"), bytes(48))), r"float32\[4,3\]")
    refuse(with_array(npy(head % ("<U4", "(3, 1)"), bytes(48))), "dtype")
    refuse(with_array(npy(head % ([("a", "<f4")], "(3, 4)"), bytes(48))), "dtype")
    refuse(with_array(npy(head % ("<f4", "(2**62, 2**62)"), bytes(48))))
    refuse(with_array(npy(head % ("<f4", "(-3, -4)"), bytes(48))))
    refuse(with_array(npy(head % ("<f4", f"({'9' * 18},)"), bytes(48))), "float32")
    refuse(with_array(npy(head % ("<f4", "(3, 4)"), bytes(48), version=(3, 0))), "version")
    refuse(with_array(npy("__import__('os').system('true')", bytes(48))))
    refuse(with_array(npy("(" * 5000)))
    refuse(with_array(b"\x93NUMPY"))


def test_the_same_array_in_other_clothes_is_taken() -> None:
    """Big-endian and Fortran order are no damage: NumPy may have written the file."""
    f = mg.function(lambda: mg.constant([[1.0, 2.0], [3.0, 4.0]]) * 1, input_signature=[])
    parts = members(dumped(f))
    assert [name for name in parts if "npy" in name] == ["constants/0.npy"]
    head = "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 2)}"
    data = np.array([[1, 2], [3, 4]], ">f4").tobytes("F")
    found = loaded(packed(parts | {"constants/0.npy": npy(head, data)}))()
    assert found.numpy().tolist() == [[1, 2], [3, 4]]


# JSON


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 100_000,
        b"[1" + b"e9" * 9,
        b"NaN",
        b'"\xff\xfe"',
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"format": 3}',
        b"[" + b"[]," * (limits.JSON_VALUES // 2 + 9) + b"[]]",
        b'"' + b"a" * (limits.JSON_BYTES + 1) + b'"',
    ],
    ids=lambda text: text[:9].decode("latin1"),
)
def test_json_that_is_none_or_too_much(text: bytes) -> None:
    parts = members(FILES["control"])
    refuse(packed(parts | {"manifest.json": text}), memory=4 << 20)
    refuse(packed(parts | {"graphs.json": text}), memory=4 << 20)


def deep(n: int, key: str) -> Any:
    """A nest of n levels."""
    value: Any = "*"
    for _ in range(n):
        value = {key: [value]}
    return value


Change = Callable[[Any], Any]


def put(*path: Any, value: Any) -> Change:
    """A change of JSON: `value` at `path`."""

    def change(whole: Any) -> Any:
        place = whole
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return whole

    return change


def call(kwargs: Any) -> Any:
    """The nest of arguments by name."""
    return {"tuple": [{"tuple": []}, kwargs]}


TRACE = ("functions", 0, "traces", 0)
SPEC = {"spec": "float32[3]"}
MANIFEST: list[tuple[Change, str]] = [
    (put("kind", value="code"), "'code'"),
    (put("extra", value=1), "other entries"),
    (put("format_version", value=0), "format version 0"),
    (put("format_version", value=True), "format version True"),
    (put("functions", value=[]), "0 functions"),
    (put("variables", value=[3]), "a Variable"),
    (put("constants", value=["float32[2]"]), r"constants/0.npy of int32\[\]"),
    (put("constants", value=["int32[]"] * 10), "no member constants/"),
    (put("ops", "exp", value="1"), "version '1'"),
    (put("ops", "fused", value=1), "without|refers|fused|graph"),
    (put("functions", 0, "traces", value=[]), "without graphs"),
    (put("functions", 0, "traces", 0, "graph", value=99), "graph 99"),
    (put("functions", 0, "traces", 0, "graph", value=-1), "graph -1"),
    (put("functions", 0, "traces", 0, "graph", value=True), "graph = True"),
    (put("functions", 0, "traces", 0, "graph", value=0), "does not fit|nothing is bound"),
    (put("functions", 0, "traces", 0, "arguments", value="*"), "arguments"),
    (put("functions", 0, "traces", 0, "arguments", value=deep(40, "tuple")), "no arguments"),
    (put("functions", 0, "traces", 0, "arguments", value=deep(400, "tuple")), "too deeply"),
    (put("functions", 0, "traces", 0, "results", value=deep(400, "list")), "too deeply"),
    (put("functions", 0, "traces", 0, "results", value={"tuple": ["*", "*"]}), "does not fit"),
    (put("functions", 0, "traces", 0, "results", value={"dict": [[1, "*"], [1, 2]]}), "equal|leaf"),
    (put("functions", 0, "traces", 0, "results", value={"value": {"graph": 0}}), "as a key|leaf"),
    (put("functions", 0, "parameters", 0, "name", value="a b"), "parameter"),
    (put("functions", 0, "parameters", 0, "kind", value="ANY"), "parameter"),
    (put("functions", 0, "parameters", value=[{"name": "x", "kind": "VAR_KEYWORD"}] * 2), ""),
    (put("functions", 0, "input_signature", value={"tuple": ["*"]}), ""),
    (put("functions", 0, "input_signature", value={"list": [{"spec": "float64[3]"}]}), "tuple"),
    (put("functions", 0, "name", value="n" * 2000), "function"),
    (put("callbacks", value={"os.system": {"door": "numpy_function", "Tout": []}}), "no function"),
    (put("callbacks", value={"f": 3}), "callback"),
    (put("functions", 0, "kind", value="code"), "'code' without parameters"),
    (put("functions", 0, "results", value="*"), "other entries"),
    (put(*TRACE, "arguments", value=call({"dict": [[1, "*"]]})), "other names"),
    (put(*TRACE, "arguments", value=call({"dict": [["x"]]})), "of no pairs"),
    (put(*TRACE, "arguments", value=call({"dict": [["x", "*"], ["x", "*"]]})), "equal keys"),
    (put(*TRACE, "results", value={"tuple": ["*", {"val": 1}]}), "the leaf"),
    (put(*TRACE, "results", value={"value": {"a": 1, "b": 2}}), "the value"),
    (put(*TRACE, "results", value={"value": {"complex": [1, 2]}}), "of no floats"),
    (put(*TRACE, "results", value={"value": deep(90, "list")}), "value is nested too deeply"),
    (put("functions", 0, "input_signature", value={"tuple": [{"dtype": "int8"}]}), "no TensorSp"),
    (put("functions", 0, "input_signature", value={"tuple": [SPEC | {"name": 3}]}), "the name 3"),
    (put("functions", 0, "parameters", value=[{"name": "x", "kind": "ANY"}] * 2000), "2000 param"),
]


@pytest.mark.parametrize(("change", "words"), MANIFEST)
def test_a_manifest_that_makes_no_sense(change: Change, words: str) -> None:
    if change is MANIFEST[9][0]:  # an op that is there, and must not be used
        data = doctored(
            FILES["control"], manifest=change, graphs=put(-1, "nodes", 0, "op", value="fused")
        )
        refuse(data, "the op 'fused'")
        return
    refuse(doctored(FILES["control"], manifest=change), words)


@pytest.mark.parametrize(
    "name",
    [
        *("look_up", "add_up", "add_onto", "write_onto", "in_bounds", "solve_loop", "sound"),
        *("transformed", "native_loop", "native_product", "native_borrowed", "stretch"),
    ],
)
def test_what_reads_and_writes_wherever_it_is_told_is_not_to_be_named(name: str) -> None:
    """Loops of these ops trust their places, which are looked at before."""
    data = doctored(
        FILES["control"],
        manifest=put("ops", name, value=1),
        graphs=put(-1, "nodes", 0, "op", value=name),
    )
    refuse(data, f"the op '{name}'")


def test_the_graph_that_is_made_worse_here_is_sound() -> None:
    assert loaded(one_graph())(mg.ones(3)).shape == (3,)
    wider = one_graph({"outputs": ["float32[?]"]})  # as an older minigrad may have known less
    assert loaded(wider)(mg.ones(3)).shape == (3,)


SPECS = ["float32[3", "float33[3]", "float32[-3]", "float32[3,]", "object[3]", "float32", 3, None]
SPECS += ["float32[" + ",".join("1" * 65) + "]", f"float32[{'9' * 19},{'9' * 19}]", "float32[٣]"]
SPECS += ["float32[" + "1," * 100_000 + "1]", "float32[ 3]", "float32[3]\n", ""]
NODES: list[tuple[dict[str, Any], str]] = [
    ({"op": "os.system"}, "the op 'os.system'"),
    ({"op": "recorded"}, "the op 'recorded'"),
    ({"op": None}, "op = None"),
    ({"extra": 1}, "other entries"),
    ({"inputs": ["v1"]}, "nothing has made, 'v1'"),
    ({"inputs": ["v-1"]}, "'v-1'"),
    ({"inputs": ["v" + "9" * 500]}, "nothing has made"),
    ({"inputs": []}, "sin refuses"),
    ({"inputs": ["v0", "v0"]}, "sin refuses"),
    ({"inputs": [None]}, ""),
    ({"inputs": [[1, 2]]}, "input"),
    ({"inputs": [{"constant": 0}]}, "constant 0"),
    ({"inputs": [{"variable": 0}]}, "variable 0"),
    ({"inputs": [{"graph": 0}]}, "graph 0"),
    ({"inputs": [{"pickle": "x"}]}, "'pickle'"),
    ({"outputs": []}, "0 outputs, not 1"),
    ({"outputs": ["float32[3]"] * 2}, "2 outputs, not 1"),
    ({"outputs": ["float64[3]"]}, r"giving float64\[3\] where it is float32\[3\]"),
    ({"outputs": ["float32[4]"]}, "giving"),
    ({"outputs": ["object"]}, "giving object|giving"),
    ({"attrs": {"axis": 0}}, "attributes"),
    ({"attrs": {"__class__": 0}}, "attributes"),
    ({"at": "no place"}, "place"),
    ({"at": "a:99999999999"}, "place"),
    ({"op": "reduce_sum", "attrs": {"axes": [0, 0]}}, "axes ="),
    ({"op": "reduce_sum", "attrs": {"axes": [-1]}}, "axes ="),
    ({"op": "reduce_sum", "attrs": {"axes": [True]}}, "axes ="),
    ({"op": "reduce_sum", "attrs": {"axes": 0}}, "axes ="),
    ({"op": "reduce_sum", "attrs": {"axes": {"list": [0]}}}, "axes ="),
    ({"op": "reduce_sum", "attrs": {"axes": [1]}}, "refuses"),
    ({"op": "reduce_sum", "attrs": {}}, "attributes"),
    ({"op": "permute", "attrs": {"axes": [0, 0]}}, "refuses"),
    ({"op": "insert_axes", "attrs": {"axes": list(range(4_000))}}, ""),
    ({"op": "insert_axes", "attrs": {"axes": list(range(90_000))}}, "90000 entries"),
    ({"op": "reshape_to", "attrs": {"shape": [10**30]}}, "bits"),
    ({"op": "reshape_to", "attrs": {"shape": [2**63, 2**63]}}, "refuses"),
    (
        {
            "op": "fill",
            "inputs": [0.0],
            "attrs": {"shape": [2**62] * 9, "dtype": {"dtype": "int8"}},
        },
        "",
    ),
    ({"op": "cast", "attrs": {"dtype": "O"}}, "dtype = 'O'"),
    ({"op": "cast", "attrs": {"dtype": {"dtype": "object"}}}, "value"),
    ({"op": "take_slice", "attrs": {"key": [5]}}, "refuses"),
    ({"op": "take_slice", "attrs": {"key": ["x"]}}, "refuses"),
    ({"op": "take_slice", "attrs": {"key": [[0, 10**18, 0]]}}, "refuses"),
    ({"op": "take_slice", "attrs": {"key": [[0, 1]]}}, ""),
    ({"op": "read_variable"}, "a tensor where a Variable goes|Variable as an argument"),
    ({"op": "assign_variable", "inputs": ["v0", "v0"]}, "a Variable where a tensor goes"),
    ({"op": "call", "attrs": {"graph": {"graph": 0}, "jit": False}}, "graph 0"),
    ({"op": "call", "attrs": {"graph": 0, "jit": False}}, "graph = 0"),
    ({"op": "switch", "attrs": {"branches": [], "saving": False, "jit": False}}, "switch"),
    ({"op": "loop", "attrs": {"body": None, "jit": False}}, "attributes"),
    ({"op": "numpy_function", "attrs": {"callback": "f", "Tout": []}}, "not listed"),
    ({"op": "numpy_function", "attrs": {"func": "f"}}, "callback"),
    ({"op": "py_function"}, "callback"),
    (
        {"op": "custom_gradient", "attrs": {"count": 1, "arguments": 0, "backward": 0}},
        "backward = 0",
    ),
    ({"op": "replay", "attrs": {"program": "body", "asked": []}}, "replay"),
    ({"op": "replay", "attrs": {"program": ["vjp", "body", 0, [0], [0]], "asked": [0]}}, "replay"),
    ({"op": "pad_with", "attrs": {"widths": [[0, 2**62]], "value": "x"}}, ""),
    *[({"outputs": [text]}, "the spec|the shape") for text in SPECS],
]


@pytest.mark.parametrize(("change", "words"), NODES, ids=lambda x: str(x)[:60])
def test_a_node_that_makes_no_sense(change: dict[str, Any], words: str) -> None:
    message = refuse(one_graph(change), words)
    assert "in graph 0" in message or "argument" in message


GRAPHS: list[tuple[dict[str, Any], str]] = [
    ({"outputs": ["v9"]}, "'v9'"),
    ({"outputs": [1.0]}, "output"),
    ({"outputs": ["v0", "v1"]}, "does not fit"),
    ({"inputs": ["object"]}, "record of a run"),
    ({"inputs": ["float32[3]"] * 2}, "does not fit"),
    ({"inputs": []}, "nothing has made"),
    ({"captures": [None]}, "does not fit|nothing is bound"),
    ({"captures": [{"variable": 0}]}, "variable 0"),
    ({"captures": [{"outer": 0}]}, "constant None"),
    ({"captures": [3]}, "capture"),
    ({"captures": [None] * 5}, "more captures"),
    ({"nodes": None}, "nodes = None"),
    ({"nodes": [3]}, "node"),
    ({"name": 3}, "name = 3"),
    ({"present": [1]}, "maybe"),
]


@pytest.mark.parametrize(("changes", "words"), GRAPHS, ids=lambda x: str(x)[:60])
def test_a_graph_that_makes_no_sense(changes: dict[str, Any], words: str) -> None:
    refuse(one_graph(**changes), words)


def nested(count: int, calls: int) -> bytes:
    """Graphs of which each calls the one before, so many times; the last is the function."""

    def change(graphs: Any) -> Any:
        first = graphs[0]
        result = [first]
        for i in range(count):
            node = {"op": "call", "inputs": ["v0"], "outputs": ["float32[3]"]}
            node["attrs"] = {"graph": {"graph": i}, "jit": False}
            nodes = [node | {"inputs": [f"v{k}"]} for k in range(calls)]
            result.append(first | {"nodes": nodes, "outputs": [f"v{calls}"]})
        return result

    place = put("functions", 0, "traces", 0, "graph", value=count)
    return doctored(one_graph(), manifest=place, graphs=change)


def test_graphs_that_grow_without_end_when_they_are_written_out() -> None:
    assert loaded(nested(3, 2))(mg.ones(3)).shape == (3,)
    refuse(nested(20, 2), "more than 1000000 nodes")
    refuse(nested(6, 50), "more than 1000000 nodes")
    refuse(nested(60, 1), "nested too deeply")


def caller(node: dict[str, Any], **first: Any) -> bytes:
    """The file of a function with one node, which may use a first graph, of `sin`."""

    def change(graphs: Any) -> Any:
        whole = graphs[0] | {"nodes": [{"op": "sin", "inputs": ["v0"], "outputs": ["float32[3]"]}]}
        graphs[0] |= first
        attrs = {"graph": {"graph": 0}, "jit": False}
        plain = {"op": "call", "inputs": ["v0"], "outputs": ["float32[3]"], "attrs": attrs}
        return [graphs[0], whole | {"nodes": [plain | node]}]

    place = put("functions", 0, "traces", 0, "graph", value=1)
    return doctored(one_graph(), manifest=place, graphs=change)


ONE, SWITCH = {"graph": 0}, {"saving": False, "jit": False}
READS = [{"op": "read_variable", "inputs": ["v0"], "outputs": ["float32[3]"]}]
CASTS = [{"op": "cast", "inputs": ["v0"], "outputs": ["float64[3]"]}]
CASTS[0]["attrs"] = {"dtype": {"dtype": "float64"}}
RULE = {"count": 1, "arguments": 1, "backward": ONE}
LOOP = {"condition": None, "body": ONE, "carried": 1, "scanned": 0, "length": 2} | SWITCH
VJP = ["vjp", "body", 1, [0], [0]]


def test_the_callers_that_are_made_worse_here_are_sound() -> None:
    for node in (
        {},
        {"op": "switch", "inputs": [0, "v0"], "attrs": {"branches": [ONE, ONE]} | SWITCH},
        {"op": "loop", "attrs": LOOP},
    ):
        assert loaded(caller(node))(mg.ones(3)).shape == (3,)
    rule = {"op": "custom_gradient", "inputs": ["v0", "v0"], "attrs": RULE}
    assert loaded(caller(rule, present=[True]))(mg.ones(3)).shape == (3,)


CALLERS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"inputs": []}, {}, "0 inputs for a graph that takes 1"),
    ({"inputs": ["v0", "v0"]}, {}, "2 inputs for a graph that takes 1"),
    ({"inputs": [1.0]}, {}, "of a number where"),
    ({"inputs": [None]}, {}, "of None where"),
    ({}, {"inputs": ["float64[3]"], "nodes": [], "outputs": ["v0"]}, "where float64"),
    ({"op": "stateful_call"}, {"nodes": READS}, "Variable as an argument"),
    ({}, {"inputs": ["object"], "nodes": [], "outputs": []}, "where object|where Tensor"),
    ({}, {"nodes": [READS[0], READS[0] | {"op": "sin"}]}, "Variable where a tensor goes"),
    ({}, {"nodes": READS, "outputs": ["v0"]}, "a Variable as an output"),
    ({"op": "switch", "inputs": [0, "v0"], "attrs": {"branches": []} | SWITCH}, {}, "without"),
    ({"op": "switch", "inputs": [], "attrs": {"branches": [ONE]} | SWITCH}, {}, "without"),
    ({"op": "switch", "inputs": ["v0", "v0"], "attrs": {"branches": [ONE]} | SWITCH}, {}, "whole"),
    ({"op": "switch", "inputs": [0.5, "v0"], "attrs": {"branches": [ONE]} | SWITCH}, {}, "whole"),
    ({"op": "switch", "inputs": [0], "attrs": {"branches": [ONE]} | SWITCH}, {}, "0 inputs"),
    ({"op": "switch", "inputs": [0, "v0"], "attrs": {"branches": [0]} | SWITCH}, {}, "branches"),
    ({"op": "loop", "attrs": LOOP | {"condition": ONE}}, {}, "no truth value"),
    ({"op": "loop", "attrs": LOOP | {"length": None}}, {}, "nothing ends"),
    ({"op": "loop", "attrs": LOOP | {"carried": 0, "scanned": 1}}, {}, r"where float32\[3\]"),
    (
        {"op": "loop", "inputs": [1.0], "attrs": LOOP | {"carried": 0, "scanned": 1}},
        {},
        "first axis",
    ),
    ({"op": "loop", "attrs": LOOP}, {"outputs": []}, "does not carry on"),
    ({"op": "loop", "attrs": LOOP}, {"nodes": CASTS}, r"carries float32\[3\] in and float64"),
    ({"op": "loop", "attrs": LOOP}, {"inputs": ["float32[?]"], "nodes": []}, "nothing has made"),
    ({"op": "loop", "attrs": LOOP}, {"nodes": READS, "outputs": ["v1"]}, "carries no tensor"),
    ({"op": "custom_gradient", "inputs": ["v0", "v0"], "attrs": RULE}, {}, "gives something else"),
    ({"op": "custom_gradient", "attrs": RULE}, {"present": [True]}, "1 results and 1 arguments"),
    (
        {"op": "custom_gradient", "inputs": ["v0"] * 3, "attrs": RULE},
        {"present": [True]},
        "takes something else",
    ),
    ({"op": "replay", "inputs": ["v0"] * 3, "attrs": {"program": VJP, "asked": [1]}}, {}, "two"),
    ({"op": "replay", "inputs": ["v0"] * 3, "attrs": {"program": VJP, "asked": [0]}}, {}, "record"),
    ({"op": "replay", "inputs": ["v0"] * 2, "attrs": {"program": VJP, "asked": [0]}}, {}, "number"),
    (
        {
            "op": "replay",
            "inputs": ["v0"] * 3,
            "attrs": {"program": ["vjp", "body", 1, [0], [7]], "asked": [7]},
        },
        {},
        "not there",
    ),
    (
        {
            "op": "replay",
            "inputs": ["v0"] * 3,
            "attrs": {"program": ["jvp", "body", 1, [0], [0]], "asked": [0]},
        },
        {},
        "and a replay:",
    ),
]


def test_functions_that_do_not_fit_their_graph() -> None:
    empty = {"tuple": [{"tuple": []}, {"dict": []}]}
    unbound = put(*TRACE, "arguments", value=empty)
    bare = doctored(one_graph(captures=[None]), manifest=unbound)
    refuse(bare, "with an input that nothing is bound to")
    kept = {"branches": [ONE], "saving": True, "jit": False}
    node = {"op": "switch", "inputs": [0, "v0"], "outputs": ["float32[3]", "object"], "attrs": kept}
    assert loaded(caller(node))(mg.ones(3)).shape == (3,)
    data = doctored(caller(node), graphs=put(1, "outputs", value=["v2"]))
    refuse(data, "giving no tensor")

    def twice(head: Any) -> Any:
        head["functions"][0]["traces"] *= 2
        return head

    refuse(doctored(one_graph(), manifest=twice), "of several graphs")
    refuse(packed(members(one_graph()) | {"graphs.json": b"{}"}), "no list of graphs")
    captured = put(2, "inputs", 1, value="float64[6]")
    refuse(
        doctored(FILES["network"], graphs=captured), r"a capture of float64\[5\] as float64\[6\]"
    )


def test_bound_bodies_that_are_declared_wrongly() -> None:
    f = mg.function(lambda x: mg.numpy_function(np.sin, [x], mg.float32, name="f"))
    data = dumped(f.get_concrete_function(mg.TensorSpec((3,))), ["f"])
    for change, words in (
        ({"Tout": 3}, "Tout of 3"),
        ({"vmap_method": "all"}, "vmap_method = 'all'"),
    ):

        def changed(graphs: Any, change: Any = change) -> Any:
            graphs[0]["nodes"][0]["attrs"] |= change
            return graphs

        with pytest.raises(SaveError, match=words):
            read(io.BytesIO(doctored(data, graphs=changed)), {"f": np.sin}, None)


def test_branches_that_do_not_go_together() -> None:
    """Two graphs of one input: a tensor and a Variable, or giving float32 and float64."""
    branches = [{"graph": 0}, {"graph": 1}]
    node = {"op": "stateful_switch", "inputs": [0, "v0"], "outputs": ["float32[3]"]}
    node["attrs"] = {"branches": branches} | SWITCH
    for inner, words in ((READS[0], "an input that is"), (CASTS[0], "give different things")):
        graphs = [{"nodes": [inner]}, {}, {"nodes": [node]}]
        place = put("functions", 0, "traces", 0, "graph", value=2)
        data = doctored(
            one_graph(), manifest=place, graphs=lambda g, graphs=graphs: [g[0] | x for x in graphs]
        )
        refuse(data, words)


@pytest.mark.parametrize(("node", "first", "words"), CALLERS, ids=lambda x: str(x)[:50])
def test_a_graph_in_a_graph_that_makes_no_sense(node: Any, first: Any, words: str) -> None:
    refuse(caller(node, **first), words)


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"carried": 1}, "a loop|loop giving"),
        ({"carried": -1}, "more than it is given"),
        ({"carried": 99}, "more than it is given"),
        ({"scanned": 5}, "more than it is given"),
        ({"condition": None}, "nothing ends"),
        ({"length": True}, "length"),
    ],
)
def test_a_loop_that_makes_no_sense(attrs: dict[str, Any], words: str) -> None:
    @mg.function(input_signature=[mg.TensorSpec((3,))])
    def f(x: Any) -> Any:
        return mg.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, mg.sin(y)), (0, x))

    def change(graphs: Any) -> Any:
        node = next(n for n in graphs[-1]["nodes"] if n["op"] == "loop")
        node["attrs"] |= attrs
        return graphs

    refuse(doctored(dumped(f), graphs=change), words)


def test_effects_that_hide_in_a_pure_call_are_seen() -> None:
    w = mg.Variable(1.0)
    inner = mg.function(lambda x: w.assign_add(x).value(), input_signature=[mg.TensorSpec(())])
    f = mg.function(lambda x: inner(x), input_signature=[mg.TensorSpec(())])

    def change(graphs: Any) -> Any:
        graphs[1]["nodes"][0]["op"] = "call"
        return graphs

    assert loaded(dumped(f))(2.0).item() == 3
    everything = {name: 1 for name in mg.core.registry.OPS}
    refuse(
        doctored(dumped(f), manifest=lambda h: h | {"ops": everything}, graphs=change), "effects"
    )


@pytest.mark.parametrize("path", ["variables", "__class__", "", "functions.x", "w.w", "n" * 2000])
def test_parts_by_names_that_would_hide_others(path: str) -> None:
    change = put("variables", 1, "path", value=path)
    if path == "w.w":  # beside "w", which is a Variable
        refuse(doctored(FILES["network"], manifest=change))
    else:
        refuse(doctored(FILES["network"], manifest=change), "a part at")


def test_two_parts_of_one_name() -> None:
    refuse(doctored(FILES["network"], manifest=put("variables", 1, "path", value="w")), "one path")
    change = put("functions", 1, "path", value="predict")
    refuse(doctored(FILES["network"], manifest=change), "a function at")


def test_the_corpus_goes_through_files_too(tmp_path: Any) -> None:
    path = tmp_path / "model.mg"
    save(MODELS["control"](), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SaveError, match="damaged"):
        load(path)
    with pytest.raises(OSError):
        load(tmp_path)
