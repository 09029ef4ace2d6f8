"""Processes with one framework each: asked in lines of JSON over a pipe, as long as they live."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

PATIENCE = 300  # seconds for one answer; compiling is slow, hanging is slower


class WorkerError(Exception):
    """What a framework's process said instead of an answer."""


class Worker:
    """A process that has imported one framework, and is asked over a pipe."""

    def __init__(self, framework: str, python: str, module: str = "benchmarks.worker") -> None:
        self.errors = TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [python, "-m", module, framework],
            cwd=Path(__file__).parents[1],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer. Raises WorkerError."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        try:
            print(json.dumps(request), file=stdin, flush=True)
        except BrokenPipeError:
            raise WorkerError(self.last_words()) from None
        if not select.select([stdout], [], [], PATIENCE)[0]:
            self.process.kill()
            raise WorkerError(f"no answer to {request} in {PATIENCE} s")
        line = stdout.readline()
        if not line:
            raise WorkerError(self.last_words())
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def last_words(self) -> str:
        """How the process ended, and the last line it printed."""
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines() or [""]
        return f"the process ended with {code}: {lines[-1]}"

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def environment() -> dict[str, str]:
    """What every process gets.

    OPENBLAS_* is unset, for it may choose slow kernels; JAX is told to leave float64 as it is.
    Modules are kept as bytecode, as installed ones are; compiling Python is nobody's start.
    """
    unset = ("OPENBLAS_", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unset)}
    return {**kept, "JAX_ENABLE_X64": "1"}


def serve(answer: Callable[[Any], dict[str, Any]]) -> None:
    """Be the process: reply to each line of stdin with `answer` of it, until stdin ends.

    What a framework prints goes to stderr; an exception is answered as {"error": "..."}.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)
