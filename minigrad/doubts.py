"""What a gradient of None may mean: that it is zero, or that nobody can see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .core.convert import as_tensor
from .core.op import Node, Op
from .core.registry import api
from .core.spec import OPAQUE, Spec
from .inside import edges, expanded, is_run
from .passes.settle import is_missing, or_none, or_zeros
from .replay import Record
from .runs import GraphRun, LoopRun
from .tape import GradientTape

UNKNOWN = ("opaque", "escape", "rule by hand")


def is_known(tape: GradientTape, target: Any, source: Any) -> bool:
    """Whether a gradient that is None is zero, and not cut off where nobody can see."""
    found = tape.explain(target, source)
    kinds = {found.kind, *[cut.kind for cut in found.cuts]}
    runs = [y for node in tape.nodes for y in filter(is_run, node.outputs)]
    return kinds.isdisjoint(UNKNOWN) and not any(map(loses, runs))


def loses(record: Any) -> bool:
    """Whether a run, of a body, a graph or a loop, may have lost a gradient where none can see.

    Runs of many examples do not: vmap refuses what nobody can see into.
    """
    if isinstance(record, LoopRun):
        return any(map(loses, record.rounds))
    kept = record.kept if isinstance(record, GraphRun) else ()
    nodes: Sequence[Node] = ()
    if isinstance(record, GraphRun):
        nodes = record.split.forward.nodes
    elif isinstance(record, Record):
        nodes = record.tape.nodes
    cut = any(kind in UNKNOWN for node in expanded(nodes) for _, kind, _ in edges(node))
    return cut or any(map(loses, filter(is_run, kept)))


def is_lossy(*records: Any) -> Any:
    """Whether one of some runs loses a gradient, for graphs that will run them."""
    return np.asarray(any(map(loses, records)))


is_lossy_op = Op(is_lossy, infer=lambda *records: Spec((), np.bool_), name="is_lossy")
is_lossy_op.no_gradient("it tells what happened")


def zeros_in_runs(bar: Any, tape: GradientTape, targets: Any, source: Any) -> Any:
    """The gradient `bar`, which a trace holds; zeros where it turns out to be None, and is known.

    It is None where a run has no path, and every run that may be in doubt leaves a record.
    """
    records = [y for node in tape.nodes for y in node.outputs if y.dtype == OPAQUE.dtype]
    if not records or not is_known(tape, targets, source):
        return bar
    lost = api.logical_and(is_missing(bar), is_lossy_op(*records))
    return or_none(or_zeros(bar, as_tensor(source)), lost)
