"""One virtual environment for each peer, made when it is first asked for.

They live in benchmarks/.venvs, or in the directory that BENCH_VENVS names.
"""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    # the second index holds PyTorch without CUDA, a tenth of the size; where it cannot be
    # reached, do not insist
    "torch": [
        *("torch==2.13.0", "numpy", "--retries=1"),
        *("--extra-index-url", "https://download.pytorch.org/whl/cpu"),
    ],
    "jax": ["jax"],
    "tensorflow": ["tensorflow-cpu==2.21.0"],  # of which `make oracle` states what it does
    "autograd": ["autograd", "scipy"],
}
SHARED = {"inductor": "torch"}
"""Peers that live in the environment of another."""
PEERS = [*PACKAGES, *SHARED]
HERE = Path(__file__).parent


def python_of(framework: str) -> str:
    """The interpreter that has `framework`; NumPy and minigrad are where this runs."""
    framework = SHARED.get(framework, framework)
    if framework not in PACKAGES:
        return sys.executable
    home = Path(os.environ.get("BENCH_VENVS") or HERE / ".venvs") / framework
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = home / ".installed"
    if "BENCH_VENVS" not in os.environ and not installed.exists():
        print(f"making {home}, once (this downloads {framework})", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *PACKAGES[framework]], check=True)
        installed.touch()
    if not python.exists():
        raise FileNotFoundError(f"{framework} is looked for in {home}, and {python} is missing")
    return str(python)
