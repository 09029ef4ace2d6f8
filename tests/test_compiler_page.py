"""docs/compiler.md shows what the compiler prints, for a CPU that all others can make code for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.codegen import jit

PAGE = Path(__file__).parents[1] / "docs" / "compiler.md"
PRINT = """
import json, sys
names = {}
exec(sys.argv[1], names)
shown = {f"{of} {stage}": names[of].compiler_ir(names["x"], names["w"], stage=stage)
         for of, stage in json.loads(sys.argv[2])}
print(json.dumps(shown))
"""


def test_the_page_shows_what_is_printed() -> None:
    if not (jit.available() and jit.host().triple.startswith("x86_64") and os.name == "posix"):
        pytest.skip("the page shows code of x86-64")
    text = PAGE.read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    blocks = re.findall(
        r"^```text stage=(\w+)(?: of=(\w+))?\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 6
    wanted = sorted({(of or "misfit", stage) for stage, of, _ in blocks})
    done = subprocess.run(
        [sys.executable, "-c", PRINT, code, json.dumps(wanted)],
        env={**os.environ, "MINIGRAD_CPU": "x86-64-v3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    for stage, of, block in blocks:
        rest = printed[f"{of or 'misfit'} {stage}"] + "\n"
        for piece in re.split(r"^\.\.\.\n", block, flags=re.MULTILINE):
            assert piece in rest, f"stage={stage}: {piece!r} is not in\n{rest}"
            rest = rest.split(piece, 1)[1]
