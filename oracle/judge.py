"""What two sets of observations say: agreement, an intended difference, or a disagreement."""

from collections.abc import Sequence
from typing import NamedTuple

from oracle.intended import INTENDED, Difference
from oracle.observe import alike, at_length, shown
from oracle.scenario import Observations

VARIES = "varies"  # stated of what TensorFlow does in no certain order
ABSENT = "nothing"  # shown for an observation that was never made


class Verdict(NamedTuple):
    """How one scenario came out: what is wrong, if anything, and what differs as it should."""

    complaints: list[str]
    intended: list[str]


def judge(
    tensorflow: Observations, minigrad: Observations, expected: Sequence[Difference]
) -> Verdict:
    """Compare what both frameworks saw; `expected` is what differs on purpose."""
    complaints, intended = [], []
    stated = {difference.label: difference for difference in expected}
    for label in dict.fromkeys([*tensorflow, *minigrad, *stated]):
        theirs, ours = (
            observations.get(label, {"raises": ABSENT, "message": ABSENT})
            for observations in (tensorflow, minigrad)
        )
        agree = label in tensorflow and label in minigrad and alike(theirs, ours)
        said = f"{label}: TensorFlow {at_length(theirs)} | minigrad {at_length(ours)}"
        if label not in stated:
            if not agree:
                complaints.append(said)
            continue
        one = stated[label]
        stating = f"stated as {one.tensorflow} | {one.minigrad}"
        varies = one.tensorflow == VARIES
        if agree and not varies:
            complaints.append(f"{said}, which agree, {stating}")
        elif shown(ours) != one.minigrad or not (varies or shown(theirs) == one.tensorflow):
            complaints.append(f"{said}, {stating}")
        else:
            intended.append(f"{said}, for: {one.because}")
    return Verdict(complaints, intended)


def expected_of(name: str) -> list[Difference]:
    """The intended differences of one scenario."""
    return [one for one in INTENDED if one.scenario == name]
