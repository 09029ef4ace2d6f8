"""Batching of decisions on values: branches, loops, and the derivatives of their runs.

Where what decides is shared, the branch or the loop takes all examples along. Where it differs,
both branches are computed and chosen from, and a loop goes on until all examples are done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .batch import Batch, Batched, Kept
from .batching_bodies import batched_graph
from .branches import as_read, sharing_captures
from .core.op import Attrs, Inputs, Node, Op
from .core.registry import api
from .core.spec import Spec
from .core.tensor import Tensor
from .errors import MinigradError, SpecError
from .graph import Graph, evaluate, saved, trace
from .replay import replay_op, run_program
from .tape import GradientTape
from .text import nested_graphs
from .variable import read_variable

BOTH = (
    "in a branch of cond or switch in vmap: examples take different branches, so each is computed "
    "for all of them; where one may not be, hand it something else, as in mg.where(pred, x, 1.0)"
)


def run(op: Op, inputs: Sequence[Any], attrs: Attrs, graph: Graph) -> tuple[Sequence[Any], Any]:
    """What a branch or loop of `graph` gives, and a record of the run, if one is wanted inside.

    Outside, what derivatives need may be something else.
    """
    attrs = attrs if attrs["saving"] else saved(op, inputs, attrs)
    outputs = op(*inputs, **attrs)
    return outputs[: len(graph.outputs)], outputs[-1] if attrs["saving"] else None


def settled(
    batch: Batch, inputs: Sequence[Any], graphs: Sequence[Graph], *, saving: bool
) -> list[Any]:
    """The inputs of `graphs`; where a record is kept for the inside, as examples of their own.

    Then each has a cotangent of its own in each example: Variables, too, by their values.
    """
    if not saving:
        return list(inputs)
    values = [read_variable(x) if hasattr(x, "trainable") else x for x in as_read(inputs, graphs)]
    return [Batched(batch.whole(x), batch) if isinstance(x, Tensor) else x for x in values]


def refuse_effects(batch: Batch, graphs: Iterable[Graph], what: str) -> None:
    """Raise SpecError for effects in `graphs`, which would happen for all examples, or for none."""
    if any(map(has_effects, graphs)):
        raise SpecError(
            f"{batch.name}: {what} differs between the examples, and there are effects inside "
            "(assignments, random numbers, Python bodies), which would happen for all of them or "
            "for none; move the effects out, or write a Python loop over the examples"
        )


def has_effects(graph: Graph) -> bool:
    """Whether a node of `graph` does more than to compute, and to read Variables."""
    if "effects" not in graph.cache:
        graph.cache["effects"] = any(map(is_effect, graph.nodes))
    return bool(graph.cache["effects"])


def is_effect(node: Node) -> bool:
    """Whether `node` does, or a graph that it runs."""
    if not node.op.stateful or node.op is read_variable:
        return False
    inner = list(nested_graphs(node))
    return not inner or any(map(has_effects, inner))


# branches


def batched_switch(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """The branch for all examples, if they agree; else all branches, and a choice."""
    index, *rest = inputs
    branches: Sequence[Graph] = attrs["branches"]
    if batch.holds(index):
        refuse_effects(batch, branches, "what decides between branches")
        chosen = Chosen(branches)
        with batch.inside():
            found = chosen.run(inputs)
        return (*found, Kept(Rerun(chosen, inputs), batch)) if attrs["saving"] else found
    values = settled(batch, rest, branches, saving=attrs["saving"])
    flags = [batch.holds(x) for x in values]
    given = [batch.payload(x) for x in values]
    specs = [x.spec for x in given]
    several, extra = sharing_captures(
        [
            batched_graph(
                batch, g.name, lambda *xs, g=g: evaluate(g, xs), specs, flags, lambda i: True
            )[0]
            for g in branches
        ]
    )
    given = [index, *given, *extra]
    outputs, record = run(op, given, {**attrs, "branches": tuple(several)}, several[0])
    results = [Batched(y, batch) for y in outputs]
    if not attrs["saving"]:
        return tuple(results)
    check_no_extra(batch, extra)
    return (*results, Kept(record, batch, [0] * len(rest), [0] * len(results)))


class Chosen:
    """All branches of a switch, computed; and for each example the results of its own."""

    def __init__(self, branches: Sequence[Graph]) -> None:
        self.branches = branches

    def run(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The results for an index and the inputs of the branches."""
        index, *rest = inputs
        try:
            results = [evaluate(graph, rest) for graph in self.branches]
        except MinigradError as error:
            error.add_note(BOTH)
            raise
        found = list(results[-1])
        for i, outputs in enumerate(results[:-1]):
            for k, y in enumerate(outputs):
                if y.shape != found[k].shape:
                    raise SpecError(
                        f"cond or switch in vmap: a result is {y.spec} in one branch and "
                        f"{found[k].spec} in another, and examples take different ones: they are "
                        "stacked, so all have one shape; pad or reshape it"
                    )
                found[k] = api.where(api.equal(index, i), y, found[k])
        return tuple(found)


class Rerun:
    """What is kept of a choice: how to compute it again."""

    def __init__(self, chosen: Chosen, inputs: Sequence[Any]) -> None:
        self.chosen = chosen
        self.inputs = tuple(inputs)

    def check(self) -> None:
        """Nothing: graphs know all that they use."""

    def own(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values themselves."""
        return values

    def run(self, values: Sequence[Any]) -> list[Any]:
        """The results, for other inputs of the branches."""
        return list(self.chosen.run([self.inputs[0], *values]))

    def pulled(self, given: Sequence[int], asked: Sequence[int], gs: Sequence[Any]) -> list[Any]:
        """Cotangents of the inputs `asked`, from those of the outputs `given`."""
        values = list(self.inputs[1:])
        with GradientTape(persistent=True) as tape:
            tape.follow([values[i] for i in asked])
            outputs = self.run(values)
        return list(
            tape.gradient([outputs[i] for i in given], [values[i] for i in asked], list(gs))
        )


# loops


def batched_loop(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """One loop for all examples, which carries them; those that are done stay as they are."""
    carried, scanned = attrs["carried"], attrs["scanned"]
    values = settled(batch, inputs, [attrs["body"]], saving=attrs["saving"])
    plan = BatchedRound(batch, attrs, values)
    if plan.masked:
        tests = [] if attrs["condition"] is None else [attrs["condition"]]
        refuse_effects(batch, [attrs["body"], *tests], "the condition of a loop")
    given = []
    for i, (x, flag) in enumerate(zip(values, plan.flags, strict=True)):
        payload = batch.whole(x) if flag else x
        is_scan = carried <= i < carried + scanned
        given.append(api.moveaxis(payload, 0, 1) if flag and is_scan else payload)
    graphs, extra = sharing_captures(plan.graphs)
    given = [*given, *extra]
    condition = graphs[1] if len(graphs) > 1 else None
    changed = {"body": graphs[0], "condition": condition}
    outputs, record = run(op, given, {**attrs, **changed}, graphs[0])
    results = []
    for i, (y, flag) in enumerate(zip(outputs, plan.differ, strict=True)):
        whole = api.moveaxis(y, 1, 0) if flag and i >= carried else y
        results.append(Batched(whole, batch) if flag else y)
    if not attrs["saving"]:
        return tuple(results)
    check_no_extra(batch, extra)
    axes = [1 if carried <= i < carried + scanned else 0 for i in range(len(inputs))]
    places = [1 if i >= carried else 0 for i in range(len(results))]
    return (*results, Kept(record, batch, axes, places))


class BatchedRound:
    """The graphs of one round for all examples.

    flags: which inputs of the loop differ between examples: those that are carried, if what a
    round makes of them does. masked: whether the condition differs. differ: which results do.
    """

    def __init__(self, batch: Batch, attrs: Attrs, values: Sequence[Any]) -> None:
        self.batch = batch
        self.carried: int = attrs["carried"]
        self.scanned: int = attrs["scanned"]
        self.body: Graph = attrs["body"]
        self.condition: Graph | None = attrs["condition"]
        self.values = values
        self.all = bool(attrs["saving"])
        self.flags = [batch.holds(x) for x in values]
        self.masked = False
        while True:  # until what is carried out is carried in
            tests = [] if self.condition is None else [self._test()]
            body, self.differ = self._round()
            before = self.flags[: self.carried]
            after = [a or b or self.masked for a, b in zip(before, self.differ, strict=False)]
            if after == before:
                break
            self.flags[: self.carried] = after
        self.graphs = [body, *tests]

    def _specs(self, flags: Sequence[bool], *, test: bool) -> tuple[list[Spec], list[bool]]:
        """Of the inputs of a round, or of its condition, which takes no slices."""
        start, stop = self.carried, self.carried + self.scanned
        specs, chosen = [], []
        for i, (x, flag) in enumerate(zip(self.values, flags, strict=True)):
            is_scan = start <= i < stop
            if is_scan and test:
                continue
            shape = x.shape[1:] if is_scan else x.shape
            size = self.batch.size if type(self.batch.size) is int else None
            specs.append(Spec((size, *shape) if flag else shape, x.dtype))
            chosen.append(flag)
        return specs, chosen

    def _test(self) -> Graph:
        """The condition: whether it holds for any example."""
        condition = self.condition
        assert condition is not None
        specs, flags = self._specs(self.flags, test=True)
        graph, (self.masked,) = batched_graph(
            self.batch, condition.name, lambda *xs: evaluate(condition, xs), specs, flags
        )
        if self.masked:
            return any_example(graph, specs)
        return graph

    def _round(self) -> tuple[Graph, tuple[bool, ...]]:
        """One round; where it is over for an example, it hands on what came."""
        specs, flags = self._specs(self.flags, test=False)

        def compute(*xs: Any) -> list[Any]:
            outputs = list(evaluate(self.body, xs))
            if self.masked and self.condition is not None:
                carry, fixed = xs[: self.carried], xs[self.carried + self.scanned :]
                (active,) = evaluate(self.condition, [*carry, *fixed])
                pairs = zip(outputs, carry, strict=True)
                outputs = [api.where(active, y, x) for y, x in pairs]
            return outputs

        def force(i: int) -> bool:
            return self.all or (i < self.carried and self.flags[i])

        return batched_graph(self.batch, self.body.name, compute, specs, flags, force)


def any_example(graph: Graph, specs: Sequence[Spec]) -> Graph:
    """The graph of whether the one result of `graph` is true for any example."""
    found, _ = trace(
        lambda *xs: [api.any(evaluate(graph, [*xs, *graph.captures])[0])], specs, graph.name
    )
    return found


# derivatives of runs


def check_no_extra(batch: Batch, extra: Sequence[Any]) -> None:
    """Raise SpecError where a record would be of more inputs than the inside knows of."""
    if extra:
        raise SpecError(
            f"{batch.name}: a derivative inside it is of a branch or loop that needs constants "
            "made for many examples; take the derivative outside of vmap, or pass the indices in"
        )


def layouts(program: Any, kept: Kept) -> tuple[list[int], list[int]]:
    """Which axes count the examples outside, of what goes into a program and comes out."""
    if program == "body":
        return list(kept.inputs or ()), list(kept.outputs or ())
    _, inner, _, given, needed = program
    inputs, outputs = layouts(inner, kept)
    return [*inputs, *[outputs[i] for i in given]], [inputs[i] for i in needed]


def batched_replay(batch: Batch, op: Op, inputs: Inputs, attrs: Attrs) -> tuple[Any, ...]:
    """The derivative of a run of many examples, outside; or of one as it was inside."""
    kept, *rest = inputs
    program = attrs["program"]
    if type(kept) is not Kept or kept.batch is not batch:
        found: tuple[Any, ...] = batch.one_by_one(op, inputs, attrs)
        return found
    if kept.inputs is None:
        with batch.inside():
            return tuple(walked(kept.record, program, rest))
    values = [read_variable(x) if hasattr(x, "trainable") else x for x in rest]
    axes, places = layouts(program, kept)
    pairs = zip(values, axes, strict=True)
    given = [api.moveaxis(y, 0, a) if a else y for y, a in ((batch.whole(x), a) for x, a in pairs)]
    answers = replay_op(kept.record, *given, program=program, asked=attrs["asked"])
    pairs = zip(answers, places, strict=True)
    return tuple(
        [None if y is None else Batched(api.moveaxis(y, a, 0) if a else y, batch) for y, a in pairs]
    )


def walked(record: Any, program: Any, inputs: Sequence[Any]) -> list[Any]:
    """The cotangents that a program asks for, by ops on the tensors of the run."""
    record.check()
    if program[1] == "body":
        return list(record.pulled(program[3], program[4], inputs[program[2] :]))
    lowest = program
    while lowest[1] != "body":
        lowest = lowest[1]
    own = record.own(inputs[: lowest[2]])
    return run_program(record, program, [*own, *inputs[len(own) :]])


RULES = {
    "switch": batched_switch,
    "stateful_switch": batched_switch,
    "loop": batched_loop,
    "stateful_loop": batched_loop,
    "replay": batched_replay,
}
