# The source of 01_a_tape_in_sixty_lines.ipynb: `python -m tutorials.notebooks` writes it.
# ruff: noqa: B018 (a value on the last line of a cell is shown)
# %% [markdown]
# # A tape in sixty lines
#
# Automatic differentiation looks like magic until you have built it once. Here you build it, for
# plain numbers. You will make the two usual mistakes first, see them fail, and end with a *tape*:
# sixty lines that give derivatives of any order. Then you compare it, line by line, with
# `mg.GradientTape`, which is the same idea for arrays.
#
# You need Python, and you should remember what a derivative is. When you are done you can
#
# - write reverse-mode differentiation from an empty file;
# - say why the *order* of the backward walk matters, and why a tape gets it for free;
# - say what breaks when gradients are found by recursion, or stored inside of the values.

# %%
import inspect
import math
from html import escape
from typing import NamedTuple

from IPython.display import SVG

import minigrad as mg

# %% [markdown]
# ## 1. One derivative, in small steps
#
# Take $f(x, y) = x \cdot y + \sin x$. A computer does not see a formula. It sees steps:
#
# | step | local derivatives |
# |---|---|
# | `a = x * y` | $\partial a/\partial x = y$, $\quad\partial a/\partial y = x$ |
# | `b = sin(x)` | $\partial b/\partial x = \cos x$ |
# | `f = a + b` | $\partial f/\partial a = 1$, $\quad\partial f/\partial b = 1$ |
#
# A *local* derivative needs to know one step and nothing else. The chain rule puts them together.
# Start at the end, where $\partial f/\partial f = 1$, and go back: at each step, multiply what
# has arrived at the output by the local derivative, and add the product to the input.

# %%
x, y = 2.0, 3.0

# forward
a = x * y
b = math.sin(x)
f = a + b

# backward: the_f means the derivative of f by f, the_a that of f by a, and so on
the_f = 1.0
the_a = the_f * 1.0
the_b = the_f * 1.0
the_x = the_b * math.cos(x) + the_a * y  # x was used twice, so two parts arrive
the_y = the_a * x

the_x, the_y

# %% [markdown]
# Is it right? Never believe a gradient that you have not checked. The simplest check moves the
# input a little, both ways, and looks at how far the output moves.


# %%
def slope(function, x, step=1e-5):
    """The derivative of `function` at `x`, by central differences."""
    return (function(x + step) - function(x - step)) / (2 * step)


assert math.isclose(the_x, slope(lambda x: x * y + math.sin(x), x), rel_tol=1e-8)
assert math.isclose(the_y, slope(lambda y: x * y + math.sin(x), y), rel_tol=1e-8)

# %% [markdown]
# ## 2. First try: values that remember
#
# We want Python to do the bookkeeping. So a `Value` keeps, beside its number, where it comes
# from: its *parents*, each with the local derivative. To go back, every value hands on what it
# has, and asks its parents to do the same.


# %%
class Value:
    """A number that remembers what it was made of."""

    def __init__(self, number, name, parents=()):
        self.number = number
        self.name = name
        self.parents = parents  # pairs: a value, and the local derivative by it
        self.grad = 0.0

    def __add__(self, other):
        return Value(self.number + other.number, "+", [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.number * other.number, "*", [(self, other.number), (other, self.number)])


def sin(x):
    """The sine of a Value."""
    return Value(math.sin(x.number), "sin", [(x, math.cos(x.number))])


def hand_on(value):
    """Give each parent its share, and let it hand on in turn."""
    for parent, local in value.parents:
        parent.grad += value.grad * local
        hand_on(parent)


x, y = Value(2.0, "x"), Value(3.0, "y")
f = x * y + sin(x)
f.grad = 1.0
hand_on(f)

assert x.grad == the_x and y.grad == the_y
x.grad, y.grad

# %% [markdown]
# Some thirty lines, and right! Now a function that is hardly harder: $z = s + s$ with
# $s = x \cdot x$. That is $2x^2$, so at $x = 3$ the derivative is $4x = 12$.

# %%
x = Value(3.0, "x")
s = x * x
z = s + s
z.grad = 1.0
hand_on(z)
x.grad

# %% [markdown]
# **18. Wrong, and nobody complained.** A wrong gradient does not crash: the model just learns
# badly, and you look for the reason elsewhere. So it pays to understand this one.
#
# ## 3. Why order matters
#
# A picture helps. It shows a computation from left to right. Boxes are values; under each stands
# what we want to say about it.


# %%
def draw(steps, note=lambda value: ""):
    """A picture of `steps`, triples (name of the operation, inputs, output), in their order."""
    column, row, label, rows = {}, {}, {}, {}
    for name, inputs, output in steps:
        for value in inputs:
            label.setdefault(value, getattr(value, "name", ""))
            column.setdefault(value, 0)
        label[output] = name
        column[output] = 1 + max(column[value] for value in inputs)
    for value, i in column.items():
        row[value] = rows.setdefault(i, 0)
        rows[i] += 1
    place = {v: (70 + 170 * column[v], 40 + 80 * (row[v] + column[v] % 2 / 2)) for v in column}
    lines, boxes = [], []
    for _, inputs, output in steps:
        for i, value in enumerate(inputs):
            (x1, y1), (x2, y2) = place[value], place[output]
            bend = 16 * (2 * i - 1) if inputs.count(value) > 1 else 0
            middle = f"{(x1 + x2) / 2} {(y1 + y2) / 2 + bend}"
            lines.append(f'<path d="M{x1} {y1} Q{middle} {x2} {y2}" fill="none" stroke="#889"/>')
    for value, (cx, cy) in place.items():
        text, below = escape(f"{label[value]} = {value.number:.4g}"), escape(note(value))
        boxes.append(
            f'<rect x="{cx - 55}" y="{cy - 14}" width="110" height="28" rx="7" '
            f'fill="#eef" stroke="#446"/><text x="{cx}" y="{cy + 5}">{text}</text>'
            f'<text x="{cx}" y="{cy + 29}" stroke="white" stroke-width="4">{below}</text>'
            f'<text x="{cx}" y="{cy + 29}" fill="#b30">{below}</text>'
        )
    width = 140 + 170 * max(column.values())
    height = max(cy for _, cy in place.values()) + 50
    return SVG(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="monospace" font-size="13" text-anchor="middle">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(lines + boxes)}</svg>'
    )


draw([("s = x*x", [x, x], s), ("z = s+s", [s, s], z)], lambda v: f"grad {v.grad:g}")

# %% [markdown]
# Follow `hand_on` through the picture. `z` gives its first share, 1, to `s`, and `s` hands it on
# *at once*: $1 \cdot 3$ along each of its two lines, so `x` has 6. Then the second share arrives.
# Now `s` has 2, and hands on *all of it*: 12 more. The first share has travelled twice.
#
# > **A value may hand on its gradient only when all of it has arrived:**
# > after every value that was made from it.
#
# So we have to put the values in order before we start. The usual way is a *topological sort*: a
# value goes on the list after its parents. Then walk the list from its end.


# %%
def in_order(value, seen, order):
    """Append to `order` all that `value` is made of, then `value` itself."""
    if value not in seen:
        seen.add(value)
        for parent, _ in value.parents:
            in_order(parent, seen, order)
        order.append(value)


def backward(target):
    """Fill in `.grad` of everything that `target` is made of."""
    order = []
    in_order(target, set(), order)
    target.grad = 1.0
    for value in reversed(order):
        for parent, local in value.parents:
            parent.grad += value.grad * local


x = Value(3.0, "x")
s = x * x
z = s + s
backward(z)
assert x.grad == 12.0

draw([("s = x*x", [x, x], s), ("z = s+s", [s, s], z)], lambda v: f"grad {v.grad:g}")

# %% [markdown]
# ## 4. Break it
#
# This is how many small libraries work, and it serves them well. Push a little, and it breaks in
# three places. Before you run each cell: what do you expect?
#
# **A long chain.** `in_order` calls itself once for every step of the chain.

# %%
value = x = Value(1.0, "x")
for _ in range(5000):
    value = value + x

try:
    backward(value)
except RecursionError as error:
    print("RecursionError:", error)
else:
    raise AssertionError("this interpreter has a deep stack: make the chain longer")

# %% [markdown]
# Five thousand steps are not many: a loop over a time series has more. Python's stack is not the
# place to keep a computation.
#
# **The same question twice.** A question should not change its answer.

# %%
x = Value(3.0, "x")
z = x * x
backward(z)
first = x.grad
backward(z)
second = x.grad

assert (first, second) == (6.0, 12.0)
first, second

# %% [markdown]
# The answer sits inside `x`, and the second walk adds to it. Libraries that keep gradients in
# their values have to tell their users: "remember to set them to zero". People forget.
#
# **The derivative of a derivative.** $x^3$ has the second derivative $6x$. But `x.grad` is a
# plain float. It does not know what it was made of, so it cannot be asked.

# %%
x = Value(3.0, "x")
backward(x * x * x)

assert x.grad == 27.0 and type(x.grad) is float
x.grad

# %% [markdown]
# ## 5. The tape
#
# Three ideas repair all three.
#
# 1. **Write steps down as they happen.** A list of things that happened *is in order already*:
#    whatever was made from `s` was made after `s`. Read it backwards, and every value is visited
#    after all that was made from it. No sort. No recursion.
# 2. **Keep gradients outside of the values**, in a dictionary that lives as long as one walk. Ask
#    as often as you like.
# 3. **Write the derivatives in Values.** The rule of `sin` says `g * cos(x)`, with our `*` and
#    our `cos`. So a walk is itself a computation, which another tape may write down.


# %%
class Value:
    """A number that tapes can follow."""

    def __init__(self, number, name=""):
        self.number = number
        self.name = name

    def __add__(self, other):
        return apply(add, self, other)

    def __mul__(self, other):
        return apply(mul, self, other)


class Op(NamedTuple):
    """What can be done: how to compute it, and one derivative per input, given that of `y`."""

    name: str
    compute: object
    rules: tuple

    def __call__(self, *inputs):
        return apply(self, *inputs)


class Node(NamedTuple):
    """One time that it was done."""

    op: Op
    inputs: tuple
    output: Value


def apply(op, *inputs):
    """Do it, and tell every tape that listens."""
    output = Value(op.compute(*[x.number for x in inputs]))
    for tape in LISTENING:
        tape.nodes.append(Node(op, inputs, output))
    return output


class Tape:
    """A list of nodes that happened, which can be walked backwards."""

    def __init__(self):
        self.nodes = []

    def __enter__(self):
        LISTENING.append(self)
        return self

    def __exit__(self, *exception):
        LISTENING.remove(self)

    def gradient(self, target, source):
        """The derivative of `target` by `source`, a Value; None where no path leads."""
        grads = {target: Value(1.0)}
        for op, inputs, output in reversed(self.nodes):
            if output in grads:
                for x, rule in zip(inputs, op.rules, strict=True):
                    share = rule(grads[output], *inputs)
                    grads[x] = grads[x] + share if x in grads else share
        return grads.get(source)


LISTENING = []
add = Op("add", lambda a, b: a + b, (lambda g, a, b: g, lambda g, a, b: g))
mul = Op("mul", lambda a, b: a * b, (lambda g, a, b: g * b, lambda g, a, b: g * a))
sin = Op("sin", math.sin, (lambda g, a: g * cos(a),))
cos = Op("cos", math.cos, (lambda g, a: g * sin(a) * Value(-1.0),))

# %% [markdown]
# That is all of it. Let us count, without blank lines:

# %%
cells = In[:-1]  # noqa: F821  (Jupyter's list of the cells that were run)
tape_cell = next(cell for cell in reversed(cells) if "class Tape:" in cell)
total = len([line for line in tape_cell.splitlines() if line.strip()])
assert total <= 60
total

# %% [markdown]
# Now everything that broke.

# %%
# the order
x = Value(3.0, "x")
with Tape() as tape:
    s = x * x
    z = s + s
assert tape.gradient(z, x).number == 12.0

# the same question twice
assert tape.gradient(z, x).number == 12.0
assert tape.gradient(s, x).number == 6.0

# a long chain: fifty thousand steps
with Tape() as long_tape:
    value = x
    for _ in range(50_000):
        value = value + x
assert long_tape.gradient(value, x).number == 50_001.0

# the derivative of a derivative: the inner walk happens while the outer tape listens
with Tape() as outer:
    with Tape() as inner:
        cube = x * x * x
    first = inner.gradient(cube, x)
second = outer.gradient(first, x)
assert (first.number, second.number) == (27.0, 18.0)

# no path
assert tape.gradient(z, Value(1.0)) is None

# %% [markdown]
# And the function of section 1, with the order of the walk and the gradients on the picture. The
# walk goes from right to left, but what counts is the numbering: the node made last comes first.

# %%
x, y = Value(2.0, "x"), Value(3.0, "y")
with Tape() as tape:
    f = x * y + sin(x)

visits = {node.output: i for i, node in enumerate(reversed(tape.nodes), start=1)}
note = {value: f"grad {tape.gradient(f, value).number:.4g}" for value in [x, y, *visits]}
note = {v: f"{visits[v]}. visit, {text}" if v in visits else text for v, text in note.items()}
assert math.isclose(tape.gradient(f, x).number, the_x)

draw([(op.name, list(inputs), output) for op, inputs, output in tape.nodes], note.get)

# %% [markdown]
# Look at the second derivative again, for it is easy to read past. The outer tape has written
# down more than we did: it also heard the multiplications and additions of the inner *walk*.

# %%
print("while computing:", *[node.op.name for node in inner.nodes])
print("and then, in the walk:", *[node.op.name for node in outer.nodes[len(inner.nodes) :]])
assert len(outer.nodes) > len(inner.nodes)

# %% [markdown]
# ## 6. The same in minigrad
#
# `mg.GradientTape` is this tape, for arrays. The names are the same; you know the parts already.
#
# | ours | minigrad | what is added |
# |---|---|---|
# | `Value` | `mg.Tensor` | arrays, dtypes, all the operators |
# | `Op(name, compute, rules)` | an op: a NumPy function, `defvjp` | specs, and loops to compile |
# | `Node` | `Node` | the file and line where you wrote it |
# | `apply` | `apply` | asks *who* runs: compute now, or write a graph for later |
# | `LISTENING` | a context variable | threads do not hear each other |
# | `tape.nodes` | `tape.nodes` | only what touches a *watched* tensor is kept |
# | `gradient` | `gradient` | many sources, broadcasting undone, freed after one walk |

# %%
x, y = mg.constant(2.0), mg.constant(3.0)
with mg.GradientTape() as tape:
    tape.watch([x, y])
    f = x * y + mg.sin(x)

for node in tape.nodes:
    print(node)
sine = tape.nodes[1].op

dx, dy = tape.gradient(f, [x, y])
assert math.isclose(dx.item(), the_x, rel_tol=1e-6)
assert math.isclose(dy.item(), the_y, rel_tol=1e-6)

# %% [markdown]
# The four trials of section 5, once more. `persistent=True` is what makes asking twice possible:
# without it the first walk frees the nodes, for with large arrays memory counts.

# %%
x = mg.constant(3.0)
with mg.GradientTape(persistent=True) as tape:
    tape.watch(x)
    s = x * x
    z = s + s
assert tape.gradient(z, x).item() == 12.0
assert tape.gradient(z, x).item() == 12.0
assert tape.gradient(z, mg.constant(1.0)) is None

with mg.GradientTape() as tape:
    tape.watch(x)
    value = x
    for _ in range(20_000):
        value = value + x
assert tape.gradient(value, x).item() == 20_001.0

with mg.GradientTape() as outer:
    outer.watch(x)
    with mg.GradientTape() as inner:
        inner.watch(x)
        cube = x * x * x
    first = inner.gradient(cube, x)
second = outer.gradient(first, x)
assert (first.item(), second.item()) == (27.0, 18.0)

# %% [markdown]
# Even the rules read the same. This is the one of the op `sin`, on two numbers: what has arrived,
# and where we are. It gives a tensor, by minigrad's own ops, so any other tape may listen.

# %%
(rule,) = sine.vjps
at = mg.constant(0.5)
share = rule(mg.constant(1.0), mg.sin(at), at)
assert math.isclose(share.item(), math.cos(0.5), rel_tol=1e-6)

print(inspect.getsource(rule).strip())

# %% [markdown]
# Want to see the walk itself? It is `pullback` in `minigrad/pullback.py`. Find the four lines of
# ours in it; what else is there has to do with complex numbers, ops of several outputs, and speed.
#
# ## 7. Now you
#
# **a)** Teach our tape `exp`, and check it against `slope`. *(Hint: what is the derivative of
# `exp`, in terms of what is known already?)*
#
# **b)** Our tape writes down everything, needed or not. Change `apply`'s last lines so that it
# keeps a node only if one of its inputs is *followed*: it was watched, or made from what is.
#
# **c)** Give `x` to two tapes and differentiate three times. How many tapes do you need?
#
# Try, before you read on.

# %%
# a) One solution. The rule may use exp itself: the tape then computes it again. How could you
#    spare that? (minigrad hands the output to the rule, too.)
exp = Op("exp", math.exp, (lambda g, a: g * exp(a),))

x = Value(0.7)
with Tape() as tape:
    y = exp(sin(x) * x)
found = tape.gradient(y, x).number
expected = slope(lambda x: math.exp(math.sin(x) * x), 0.7)
assert math.isclose(found, expected, rel_tol=1e-8)
found, expected


# %%
# b) One solution: a tape that decides itself what to keep.
class FollowingTape(Tape):
    """A tape that keeps only what depends on the values it watches."""

    def __init__(self, *watched):
        super().__init__()
        self.nodes = Kept(watched)


class Kept(list):
    """A list of nodes that takes those which touch a followed value, and follows their outputs."""

    def __init__(self, watched):
        super().__init__()
        self.followed = set(watched)

    def append(self, node):
        if not self.followed.isdisjoint(node.inputs):
            super().append(node)
            self.followed.add(node.output)


a, b = Value(2.0), Value(5.0)
with FollowingTape(a) as tape:
    y = (b * b + b) * a
assert [node.op.name for node in tape.nodes] == ["mul"]
assert tape.gradient(y, a).number == 30.0


# %%
# c) One for each order: every tape listens to the walks of those inside it.
def differentiated(function):
    """The derivative of a function of one Value."""

    def derivative(x):
        with Tape() as tape:
            y = function(x)
        return tape.gradient(y, x)

    return derivative


third = differentiated(differentiated(differentiated(lambda x: x * x * x * x)))
assert third(Value(2.0)).number == 24 * 2.0

# %% [markdown]
# **What to take along.** A gradient is a walk over a list of what happened. A tape does not need
# to *see* your program: loops, conditions and recursion are Python's business, and only the steps
# that were really taken are written down. But a tape hears only its own operations. What happens
# when a value leaves for another library, and comes back? That is the subject of
# [Two doors to Python](05_two_doors_to_python.ipynb).
