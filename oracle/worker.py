"""One framework's process: `{"play": "name"}` is answered with what the scenario saw."""

import sys
import warnings
from typing import Any

from benchmarks.process import serve
from oracle.dialects import DIALECTS
from oracle.scenario import play
from oracle.scenarios import load


def main(framework: str) -> None:
    """Answer until stdin ends."""
    warnings.simplefilter("ignore")
    xp = DIALECTS[framework]()
    load()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if "play" in request:
            return {"observations": play(request["play"], xp)}
        return {"version": xp.__version__}

    serve(answer)


if __name__ == "__main__":
    main(sys.argv[1])
