"""The shape of the source: what may import what, how long a file is, how a file opens.

Each rule is a function from a package directory to a list of complaints. It is held against
minigrad, and against a small package made to break it, so that no rule can fall silent.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "minigrad"

# From the bottom up; a module imports its own layer and those below it. A name stands for the
# module or the subpackage directly under minigrad; what is not listed is "everything else".
LAYERS = (
    ("errors", "tree"),
    ("core",),
    ("ops",),
    (
        "tape",
        "cotangents",
        "explain",
        "inside",
        "pullback",
        "array_vjps",
        "graph",
        "ranks",
        "variable",
    ),
    ("text",),
    ("codegen",),
    ("passes",),
    (
        "function",
        "signatures",
        "concrete",
        "compiler",
        "compilable",
        "fingerprints",
        "recipes",
        "runners",
        "stages",
    ),
    ("everything else",),
    ("__init__",),
    ("__main__", "tour"),  # programs: they use the public names as any user does
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
# a graph prints itself, a concrete function pickles itself: each needs, when it does, what is
# made for it and needs it; a tape asks for many rows of a jacobian, which `vmap` walks
UPWARDS = {
    ("minigrad.graph", "minigrad.text"),
    ("minigrad.explain", "minigrad.visualize"),
    ("minigrad.concrete", "minigrad.saved_model"),
    ("minigrad.tape", "minigrad.rows"),
}
LONGEST = 400
# the one file of each library that is not imported by `import minigrad`
LAZY = {
    "llvmlite": "codegen/jit.py",
    "hypothesis": "testing/extra.py",
    "pytest": "testing/plugin.py",
}

Rule = Callable[[Path], list[str]]


class Import(NamedTuple):
    """`module` (dotted, absolute) is imported in `source` on `line`."""

    source: str
    module: str
    line: int
    late: bool  # inside a function, or for types only


def modules(package: Path) -> dict[str, Path]:
    """Every module of `package`, by its dotted name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(package: Path) -> list[Import]:
    """Every import in `package`: in functions, for types only and by `import_module` as well."""
    names = modules(package)
    return [
        Import(name, module, line, late)
        for name, path in names.items()
        for module, line, late in imports_of(name, path, names)
    ]


def imports_of(name: str, path: Path, names: dict[str, Path]) -> Iterator[tuple[str, int, bool]]:
    """The modules that one file imports: (dotted name, line, late)."""
    tree = ast.parse(path.read_text("utf-8"))
    home = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    late = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or types_only(node)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        found: list[str] = []
        match node:
            case ast.Import(names=aliases):
                found = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = home[: len(home) - level + 1] if level else []
                origin = ".".join([*base, *([module] if module else [])])
                # `from package import module` names the module, not the package
                found = [
                    full if (full := f"{origin}.{alias.name}") in names else origin
                    for alias in aliases
                ]
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if (
                called in ("import_module", "__import__") and node.args
            ):
                match node.args[0]:
                    case ast.Constant(value=str(module)):
                        found = [module]
            case ast.Call(func=ast.Name(id="later"), args=[ast.Constant(value=str(module))]):
                found = [f"{home[0]}.{module}"]
        for module in dict.fromkeys(found):
            yield module, node.lineno, node in late


def types_only(node: ast.AST) -> bool:
    """Whether `node` is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def layer(module: str) -> str:
    """The layer that a module of the package belongs to."""
    parts = module.split(".")
    if len(parts) == 1:
        return "__init__"
    return parts[1] if parts[1] in RANK else "everything else"


def inside(found: Import) -> bool:
    """Whether a module of the package imports another of the package."""
    return found.module.split(".")[0] == found.source.split(".")[0]


# --- the rules ------------------------------------------------------------------------------


def imports_point_down(package: Path) -> list[str]:
    """No module imports from a layer above its own."""
    return [
        f"{i.source}:{i.line} ({layer(i.source)}) imports {i.module} ({layer(i.module)}), above it"
        for i in imports(package)
        if inside(i)
        and RANK[layer(i.module)] > RANK[layer(i.source)]
        and (i.source, i.module) not in UPWARDS
    ]


def no_cycle(package: Path) -> list[str]:
    """No module imports itself through others."""
    graph: dict[str, set[str]] = {name: set() for name in modules(package)}
    for i in imports(package):
        if inside(i) and (i.source, i.module) not in UPWARDS:
            graph[i.source].add(i.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["imports in a circle: " + " <- ".join(error.args[1])]
    return []


def imports_stand_at_the_top(package: Path) -> list[str]:
    """The package's own modules are imported neither in functions nor for types only."""
    return [
        f"{i.source}:{i.line} imports {i.module} late"
        for i in imports(package)
        if inside(i) and i.late and layer(i.source) != "__init__"
    ]


def lazy_libraries_have_one_door(package: Path) -> list[str]:
    """A library of LAZY is imported in its one file, and in no other."""
    names = modules(package)
    return [
        f"{i.source}:{i.line} imports {i.module}; only {door} may"
        for i in imports(package)
        for library, door in LAZY.items()
        if i.module.split(".")[0] == library and names[i.source] != package / door
    ]


def files_are_short(package: Path) -> list[str]:
    """No file is longer than LONGEST lines."""
    lengths = {
        name: len(path.read_text("utf-8").splitlines()) for name, path in modules(package).items()
    }
    return [f"{name} has {n} lines, over {LONGEST}" for name, n in lengths.items() if n > LONGEST]


def files_open_with_a_sentence(package: Path) -> list[str]:
    """Every file says in its first line what it is."""
    return [
        f"{name} does not open with a sentence"
        for name, path in modules(package).items()
        if not (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").strip()
    ]


# --- held against minigrad, and against packages that break them ------------------------------

BROKEN: list[tuple[Rule, dict[str, str]]] = [
    (imports_point_down, {"core/op.py": "from p.tape import GradientTape"}),
    (imports_point_down, {"core/op.py": "from ..nn import relu"}),
    (imports_point_down, {"tape.py": "from . import text"}),
    (imports_point_down, {"errors.py": "def f():\n    import p.core.op"}),
    (imports_point_down, {"ops/shape.py": "if TYPE_CHECKING:\n    from p.graph import Graph"}),
    (imports_point_down, {"nn.py": "import p"}),
    (imports_point_down, {"graph.py": "g = importlib.import_module('p.function')"}),
    (no_cycle, {"nn.py": "from p import random", "random.py": "def f():\n    from . import nn"}),
    (no_cycle, {"core/op.py": "from p.core import apply", "core/__init__.py": "import p.core.op"}),
    (imports_stand_at_the_top, {"nn.py": "def f():\n    from p.core import op"}),
    (imports_stand_at_the_top, {"nn.py": "if typing.TYPE_CHECKING:\n    import p.core.op"}),
    (lazy_libraries_have_one_door, {"codegen/call.py": "from llvmlite import binding"}),
    (lazy_libraries_have_one_door, {"nn.py": "def f():\n    import llvmlite.binding as b"}),
    (files_are_short, {"nn.py": "x = 1\n" * (LONGEST + 1)}),
    (files_open_with_a_sentence, {"nn.py": "import numpy"}),
    (files_open_with_a_sentence, {"nn.py": '""" """'}),
]
RULES = list(dict.fromkeys(rule for rule, _ in BROKEN))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_minigrad_keeps(rule: Rule) -> None:
    assert len(modules(PACKAGE)) > 1, f"no package at {PACKAGE}"
    complaints = rule(PACKAGE)
    assert not complaints, f"{rule.__doc__}\n" + "\n".join(complaints)


@pytest.mark.parametrize(("rule", "files"), BROKEN)
def test_a_broken_package_is_caught(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    package = tmp_path / "p"
    sound = {
        "__init__.py": "from p.nn import f",
        "core/__init__.py": "",
        "core/op.py": "from p import errors",
        "errors.py": "import numpy",
        "nn.py": "from p.core import op\nfrom .core.op import apply",
        "codegen/jit.py": "def f():\n    from llvmlite import binding",
        "__main__.py": "import p",
    }
    for name, source in sound.items():
        write(package / name, f'"""Say what this is."""\n{source}')
    assert rule(package) == []
    for name, source in files.items():
        write(package / name, source)
    assert rule(package) != []


def write(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")


def test_import_minigrad_loads_no_heavy_library() -> None:
    heavy = ["llvmlite", "scipy", "sklearn", "matplotlib", "hypothesis", "IPython"]
    code = f"import sys, minigrad; print(*[name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
