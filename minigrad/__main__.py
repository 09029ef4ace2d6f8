"""`python -m minigrad`: the tour, or how to get what it needs."""

import sys

try:
    from .tour import main
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] not in ("sklearn", "matplotlib", "tqdm"):
        raise
    sys.exit(
        f"the tour of minigrad needs {error.name}, which is not installed here: it trains on "
        "scikit-learn's digits, draws with matplotlib and shows its progress with tqdm; run "
        '`pip install "minigrad[tour]"`, or `make tour` in a clone of the repository'
    )

if __name__ == "__main__":
    main()
