# The source of 05_two_doors_to_python.ipynb: `python -m tutorials.notebooks` writes it.
# ruff: noqa: B018 (a value on the last line of a cell is shown)
# %% [markdown]
# # Two doors to Python
#
# A tape hears minigrad's operations and nothing else. But you want to use *all* of Python: an `if`
# on a number, a loop that stops when it is done, a function from another library. There are two
# doors for that.
#
# - **`mg.py_function`** calls your function on *tensors*. What it does is heard.
# - **`mg.numpy_function`** calls your function on *NumPy arrays*. What it does is not heard.
#
# That is the whole difference. Everything else follows from it: who has a gradient, what can be
# compiled, what can leave this process. When you are done, you can predict it.
#
# You should know what a tape is ([A tape in sixty lines](01_a_tape_in_sixty_lines.ipynb)).
#
# ## Your predictions
#
# Before you run anything: fill in `True` or `False` for each door. Guess where you do not know;
# a wrong guess is what you will remember. At the end, your table is compared with what happened.

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

import minigrad as mg

# %%
predictions = {  # question: [py_function, numpy_function]
    "its gradient is right": [None, None],
    "its second derivative is right": [None, None],
    "its body runs again to find the gradient": [None, None],
    "it may write into its argument": [None, None],
    "it works inside of mg.function": [None, None],
    "it runs even if nobody uses its result": [None, None],
    "it compiles, if its body has no `if` on values": [None, None],
    "it compiles, if its body has an `if` on values": [None, None],
    "compiled, nothing of it is tied to this process": [None, None],
}
found = {}  # the same questions, answered by running

# %% [markdown]
# ## 1. Patients
#
# 442 people with diabetes: ten measurements, and how far the disease went in the year after. Real
# data come with mistakes. To have some that we know of, we plant them: thirty records, of people
# with a low body mass index, get a wrong answer, as if someone had mixed up two columns.

# %%
data = load_diabetes()
x = data.data / data.data.std(axis=0)  # ten columns, each with standard deviation 1
y = (data.target - data.target.mean()) / data.target.std()

typos = np.argsort(x[:, 2])[:60:2]
y[typos] = 6.0

inputs = mg.constant(x)
targets = mg.constant(y)
inputs.spec, targets.spec

# %%
figure, axes = plt.subplots(figsize=(7, 4))
axes.scatter(x[:, 2], y, s=8, label="patients")
axes.scatter(x[typos, 2], y[typos], s=12, color="tab:red", label="planted mistakes")
axes.set(xlabel="body mass index (standardized)", ylabel="progression (standardized)")
_ = axes.legend()

# %% [markdown]
# ## 2. The first door: `py_function`
#
# A square makes far points count most, and the mistakes are far. *Huber's loss* is a square near
# 0 and a straight line beyond `delta`. But how large is `delta`? We let the data say: we widen it
# until only a fifth of the patients is beyond. That is a loop, and it stops when the *numbers*
# say so. No formula, just Python.

# %%
runs = []  # one entry for each time that the body runs


def patient_huber(error):
    """Huber's loss, as wide as it must be for four fifths of the errors to be inside."""
    runs.append("patient_huber")
    distance = mg.abs(error)
    delta = 0.25
    while mg.count_nonzero(distance > delta) > 0.2 * len(error):  # a decision on values
        delta = 1.25 * delta
    inside = mg.minimum(distance, delta)
    return mg.mean(inside * (distance - 0.5 * inside))


def loss(weights):
    """The loss of a linear model with these eleven weights, the last one being the offset."""
    error = inputs @ weights[:10] + weights[10] - targets
    return mg.py_function(patient_huber, [error], mg.float64)


weights = mg.constant(np.linspace(-0.5, 0.5, 11))
with mg.GradientTape() as tape:
    tape.watch(weights)
    value = loss(weights)
gradient = tape.gradient(value, weights)
gradient

# %% [markdown]
# There is a gradient. Is it right? We ask the function itself, by moving each weight a little.


# %%
def differences(function, x, step=1e-6):
    """The gradient of `function` at the array `x`, by central differences."""
    moves = step * np.eye(len(x))
    return np.array([(function(x + h) - function(x - h)) / (2 * step) for h in moves])


expected = differences(lambda w: loss(mg.constant(w)).item(), weights.numpy())
assert np.allclose(gradient, expected, atol=1e-8)

figure, axes = plt.subplots(figsize=(4, 4))
axes.plot(expected, expected, color="lightgray", zorder=0)
axes.scatter(expected, gradient.numpy())
_ = axes.set(xlabel="by differences", ylabel="by the tape", title="eleven derivatives")

# %% [markdown]
# And the second derivative? The tape heard ordinary operations, so another tape can hear the walk
# over them. We take the derivative of $g \cdot v$ for a direction $v$, and compare again.

# %%
direction = np.linspace(1, -1, 11)


def slope_along(w):
    """The derivative of the loss in the given direction."""
    with mg.GradientTape() as tape:
        tape.watch(w)
        value = loss(w)
    return mg.sum(tape.gradient(value, w) * direction)


with mg.GradientTape() as outer:
    outer.watch(weights)
    slope = slope_along(weights)
second = outer.gradient(slope, weights)

expected_second = differences(lambda w: slope_along(mg.constant(w)).item(), weights.numpy(), 1e-4)
assert np.allclose(second, expected_second, atol=1e-6)

# %% [markdown]
# How often did the body run for all this? Once for each *forward* pass. A gradient is a walk over
# what was written down, and does not need your function again.

# %%
runs.clear()
with mg.GradientTape() as tape:
    tape.watch(weights)
    value = loss(weights)
after_forward = len(runs)
tape.gradient(value, weights)
after_gradient = len(runs)

assert (after_forward, after_gradient) == (1, 1)

# %% [markdown]
# So we can train with it. Two models, one with squares and one with our loss. Which one believes
# the planted mistakes?


# %%
def fitted(loss_of, steps=200, rate=0.1):
    """Weights that make a loss small, by plain descent."""
    weights = mg.Variable(np.zeros(11))
    for _ in range(steps):
        with mg.GradientTape() as tape:
            value = loss_of(weights)
        weights.assign_sub(rate * tape.gradient(value, weights))
    return weights.numpy()


def squares(weights):
    """The mean of squared errors."""
    error = inputs @ weights[:10] + weights[10] - targets
    return 0.5 * mg.mean(error * error)


by_squares, by_huber = fitted(squares), fitted(loss)
good = np.setdiff1d(np.arange(len(y)), typos)


def error_of(w):
    """The mean absolute error of a model, on the patients whose records are right."""
    return np.abs(x[good] @ w[:10] + w[10] - y[good]).mean()


assert error_of(by_huber) < error_of(by_squares)

figure, axes = plt.subplots(figsize=(7, 4))
axes.scatter(x[:, 2], y, s=8, color="lightgray")
order = np.argsort(x[:, 2])
for name, w in {"squares": by_squares, "patient Huber": by_huber}.items():
    line = np.polyfit(x[:, 2], x @ w[:10] + w[10], 1)
    label = f"{name}: off by {error_of(w):.2f}"
    axes.plot(x[order, 2], np.polyval(line, x[order, 2]), label=label)
axes.set(xlabel="body mass index", ylabel="progression", title="two losses, one set of mistakes")
_ = axes.legend()

# %% [markdown]
# ## 3. The second door: `numpy_function`
#
# The same loss in NumPy. You may call anything in there: SciPy, a compiled library, a database.


# %%
def numpy_huber(error):
    """The same as `patient_huber`, for arrays."""
    runs.append("numpy_huber")
    distance = np.abs(error)
    delta = 0.25
    while np.count_nonzero(distance > delta) > 0.2 * len(error):
        delta = 1.25 * delta
    inside = np.minimum(distance, delta)
    return np.mean(inside * (distance - 0.5 * inside))


def opaque_loss(weights):
    """As `loss`, through the other door."""
    error = inputs @ weights[:10] + weights[10] - targets
    return mg.numpy_function(numpy_huber, [error], mg.float64)


runs.clear()
with mg.GradientTape(persistent=True) as tape:
    tape.watch(weights)
    value = opaque_loss(weights)
before_gradient = len(runs)
opaque_gradient = tape.gradient(value, weights)
ran_again = len(runs) > before_gradient

assert np.isclose(value, loss(weights))  # the same number ...
assert opaque_gradient is None  # ... and no gradient

# %% [markdown]
# **`None`.** Not zero, for that would be a claim ("the loss does not depend on the weights"), and
# a wrong one. Nobody looked inside, so nobody can say. But the tape can tell you where it stopped:

# %%
explanation = tape.explain(value, weights)
print(explanation)

assert explanation.kind == "opaque"
assert explanation.op == "numpy_huber"

# %% [markdown]
# Read it as a sentence: what is cut, which function did it, on which line you called it, why, and
# what to write instead. (In a notebook, a file name such as `/tmp/ipykernel_…/….py:12` means line
# 12 of the cell.) If you would rather have an error than a `None`, say
# `unconnected_gradients="raise"`: the same words, as an exception.
#
# One way out was to use the first door. The other: *you* know the derivative, so you state it.


# %%
@mg.custom_gradient
def huber_by_hand(error):
    """The opaque loss, with its derivative worked out on paper."""
    value = mg.numpy_function(numpy_huber, [error], mg.float64)

    def grad(g):
        return g * mg.numpy_function(huber_slope, [error], error.spec)

    return value, grad


def huber_slope(error):
    """The derivative of `numpy_huber` by each error."""
    delta = 0.25
    while np.count_nonzero(np.abs(error) > delta) > 0.2 * len(error):
        delta = 1.25 * delta
    return np.clip(error, -delta, delta) / len(error)


with mg.GradientTape() as tape:
    tape.watch(weights)
    value = huber_by_hand(inputs @ weights[:10] + weights[10] - targets)
assert np.allclose(tape.gradient(value, weights), gradient)

# %%
found["its gradient is right"] = [
    np.allclose(gradient, expected),
    opaque_gradient is not None,
]
with mg.GradientTape() as outer:
    outer.watch(weights)
    with mg.GradientTape() as inner:
        inner.watch(weights)
        value = opaque_loss(weights)
    slope = inner.gradient(value, weights)
found["its second derivative is right"] = [
    np.allclose(second, expected_second, atol=1e-6),
    slope is not None,
]
found["its body runs again to find the gradient"] = [
    after_gradient > after_forward,
    ran_again,
]

# %% [markdown]
# ## 4. The trap: out through NumPy, and back in
#
# What if a body that came through the *first* door leaves for NumPy anyway? Look at this one. It
# computes $a^2 + a$. Half of it on the tape, half of it not.


# %%
def half_heard(a):
    """a² + a, the square by NumPy."""
    return mg.constant(a.numpy() ** 2) + a


a = mg.constant([1.0, 2.0, 3.0])
value = mg.py_function(half_heard, [a], mg.float32)
assert np.allclose(value, [2, 6, 12])  # the value is right

# %% [markdown]
# The derivative is $2a + 1$, so 3, 5, 7. But all that a tape can hear is `constant + a`, whose
# derivative is 1, 1, 1. **A wrong gradient that looks like a gradient.** Several libraries return
# just that, others return zeros, and none of them says a word. Then you train for an hour.
#
# Do you remember the rule of the tape? It may say a number only if it heard the whole way.

# %%
with mg.GradientTape() as tape:
    tape.watch(a)
    value = mg.py_function(half_heard, [a], mg.float32)

try:
    tape.gradient(value, a)
except mg.errors.EscapedGradientError as error:
    print(error)
else:
    raise AssertionError("a gradient was given that nobody could know")

# %% [markdown]
# It names the line in the body where the tensor left. Now say what you *mean*. If the square is to
# have a derivative, write it with minigrad's functions. If the cut is intended, because you want
# to treat the square as a constant, say so:


# %%
def heard(a):
    """a² + a, on the tape."""
    return a**2 + a


def cut_on_purpose(a):
    """a² + a, where the square counts as a constant."""
    return mg.constant(mg.stop_gradient(a).numpy() ** 2) + a


for body, wanted in [(heard, [3, 5, 7]), (cut_on_purpose, [1, 1, 1])]:
    with mg.GradientTape() as tape:
        tape.watch(a)
        value = mg.py_function(body, [a], mg.float32)
    assert np.allclose(tape.gradient(value, a), wanted)

# %% [markdown]
# Looking is not leaving. A body may compare (`if a > 0:`), print or count as much as it likes: a
# decision changes *which* operations happen, and those that happen are heard.
#
# ## 5. What your function is given, and may do
#
# A NumPy body gets *read-only views*: no copy is made, and nobody else's tensor can change. A
# tensor never changes anyway.


# %%
def overwrites(a):
    """Tries to write into what it was given."""
    a[0] = 100.0
    return a


def wrote(door):
    """Whether a body that came through `door` could write."""
    try:
        door(overwrites, [a], mg.float32)
    except (ValueError, TypeError) as error:
        print(f"{door.__name__}: {type(error).__name__}: {error}\n")
        return False
    return True


found["it may write into its argument"] = [wrote(mg.py_function), wrote(mg.numpy_function)]
assert np.allclose(a, [1, 2, 3])

# %% [markdown]
# `Tout` is a promise, and it is checked at every call. NumPy computes in `float64` sooner than you
# think, so this is the mistake you will make most often. The message ends with what to type:

# %%
try:
    mg.numpy_function(lambda a: np.linspace(0, 1, 3), [a], mg.float32)
except mg.errors.CallbackError as error:
    print(error)
else:
    raise AssertionError("a broken promise was not noticed")


# %% [markdown]
# And if your function raises? Its own exception arrives: the same object, not a wrapped copy, so
# your `except` clauses work. A note says which call it was.


# %%
class NotAPatientError(Exception):
    """Raised where a record cannot be that of a person."""


def checked(age):
    """The age, if it is one."""
    if age < 0:
        raise NotAPatientError(f"{age.item()} years old")
    return age


for door in (mg.py_function, mg.numpy_function):
    try:
        door(checked, [mg.constant(-3.0)], mg.float32)
    except NotAPatientError as error:
        print(repr(error), error.__notes__)
        assert len(error.__notes__) == 1
    else:
        raise AssertionError("an exception was swallowed")

# %% [markdown]
# ## 6. Inside a traced function
#
# `mg.function` runs your Python once, on symbols, to write a graph; afterwards the graph runs.
# Both doors work inside: each becomes one node, which calls your function whenever it is reached.
# Here is a function with one of each. The picture is its graph.


# %%
def rounded(a):
    """The prediction as people read it: one digit."""
    runs.append("rounded")
    return np.round(a, 1)


@mg.function
def report(weights):
    """The loss, and the prediction for the first patient in one digit."""
    first = mg.sum(inputs[0] * weights[:10]) + weights[10]
    return loss(weights), mg.numpy_function(rounded, [first], mg.float64)


runs.clear()
for _ in range(3):
    value, shown = report(weights)
assert runs.count("patient_huber") == 3 and runs.count("rounded") == 3
assert report.trace_count == 1
assert np.isclose(value, loss(weights))

mg.visualize.svg(report.graph_for(weights))

# %% [markdown]
# The gradient is as before: through the first node it flows, at the second it stops.

# %%
with mg.GradientTape(persistent=True) as tape:
    tape.watch(weights)
    value, shown = report(weights)
assert np.allclose(tape.gradient(value, weights), gradient)
assert tape.gradient(shown, weights) is None
print(tape.explain(shown, weights))

# %% [markdown]
# ### When does a body run?
#
# A graph may be tidied before it runs: what nobody uses is dropped, what is computed twice is
# computed once. Not so with Python bodies. They may print, count, or write to a file, and that is
# perhaps why you call them. So each one runs *at every call, in the order of the program*. If
# yours has no such effect, say `stateful=False`, and it is treated like any other operation.


# %%
@mg.function
def counted(a):
    """Calls four bodies; uses no result of theirs."""
    mg.py_function(lambda a: (runs.append("py"), a)[1], [a], mg.float32)
    mg.numpy_function(lambda a: (runs.append("numpy"), a)[1], [a], mg.float32)
    mg.numpy_function(lambda a: (runs.append("pure"), a)[1], [a], mg.float32, stateful=False)
    mg.numpy_function(lambda: runs.append("done"), [], [])
    return a + 1


runs.clear()
counted(a)
print(runs)

assert runs == ["py", "numpy", "done"]
found["it runs even if nobody uses its result"] = ["py" in runs, "numpy" in runs]
found["it works inside of mg.function"] = [
    np.isclose(value, loss(weights)),
    shown.item() == round(shown.item(), 1),
]

# %% [markdown]
# ## 7. Compiled
#
# With `jit_compile=True` the graph becomes native code: loops over arrays, and no Python inside.
# So what happens to the doors? Three trials. Predict each before you run it.
#
# **A body without decisions on values**, through the first door. Here is *pseudo-Huber*, a smooth
# cousin of Huber's loss. Tracing can look through the door: the body becomes part of the graph,
# and is fused with what stands around it.


# %%
def pseudo_huber(error):
    """A loss that is a square near 0 and a straight line far away, without a corner."""
    return mg.mean(mg.sqrt(1 + error * error) - 1)


@mg.function(jit_compile=True)
def compiled_loss(weights):
    """The smooth loss of a linear model."""
    error = inputs @ weights[:10] + weights[10] - targets
    return mg.py_function(pseudo_huber, [error], mg.float64)


with mg.GradientTape() as tape:
    tape.watch(weights)
    value = compiled_loss(weights)
compiled_gradient = tape.gradient(value, weights)

expected = differences(lambda w: compiled_loss(mg.constant(w)).item(), weights.numpy())
assert np.allclose(compiled_gradient, expected, atol=1e-8)

print(compiled_loss.compiler_ir(weights, stage="fused"))

# %% [markdown]
# No trace of a call is left. Look for `sqrt`: it stands in a loop with the arithmetic of the body.
#
# **A body with a decision on values.** While a graph is written there are no values. Which way
# should the `while` go?


# %%
@mg.function(jit_compile=True)
def compiled_patient_loss(weights):
    """The loss of section 2."""
    return loss(weights)


try:
    compiled_patient_loss(weights)
    compiled = True
except mg.errors.TraceError as error:
    compiled = False
    print(error)

found["it compiles, if its body has an `if` on values"] = [compiled, None]

# %% [markdown]
# **A NumPy body.** Compiled code cannot call it, and minigrad cannot look inside. You are told at
# once, before anything has run, and you get the whole list of what is in the way.


# %%
@mg.function(jit_compile=True)
def compiled_report(weights):
    """A loss and a rounded number, both by NumPy."""
    first = mg.sum(inputs[0] * weights[:10]) + weights[10]
    return opaque_loss(weights), mg.numpy_function(rounded, [first], mg.float64)


runs.clear()
try:
    compiled_report(weights)
    compiled = True
except mg.errors.UncompilableError as error:
    compiled = False
    message = str(error)
    print(message)

assert "numpy_huber" in message and "rounded" in message
assert runs == []  # nothing ran

found["it compiles, if its body has an `if` on values"][1] = compiled
found["it compiles, if its body has no `if` on values"] = [
    np.allclose(compiled_gradient, expected, atol=1e-8),
    compiled,
]

# %% [markdown]
# You need not wait for the error. A *capability report* goes through a function node by node,
# without running any of it. (`report` is not compiled. This is what would happen if it were.)

# %%
text = report.capability_report(weights)
print(text)
assert "blocks" in text

# %% [markdown]
# ## 8. What can travel
#
# A graph prints as Python that runs. What does it need in order to run *elsewhere*, in another
# process, say, where your notebook does not exist? Let us print both kinds, and look for names of
# things that only this process has.

# %%
kinds = {
    "py_function, traced": report,
    "py_function, compiled": compiled_loss,
}
texts = {name: f.compiler_ir(weights, stage="optimized") for name, f in kinds.items()}
for name, text in texts.items():
    print(f"### {name}\n{text}")

# %% [markdown]
# The first text says `func=patient_huber`, and `func=rounded`. Those are Python functions, objects
# in the memory of this process. Their *text* is not in the graph, and it would not be enough: they
# use `runs`, and whatever else is around here. Such a graph cannot leave without them.
#
# The second text has operations of minigrad and nothing else. Whoever has minigrad can run it. So
# for what is to be kept or sent, the same rule holds as for gradients: **what was heard is known,
# and what is known can travel.** A NumPy body can not, in any mode. Give the other side its own.


# %%
def is_tied(text):
    """Whether the text of a graph calls a function of this process."""
    return "func=" in text


assert is_tied(texts["py_function, traced"])
found["compiled, nothing of it is tied to this process"] = [
    not is_tied(texts["py_function, compiled"]),
    False,  # it does not compile
]

# %% [markdown]
# ## 9. Your predictions, and what happened

# %%
words = {True: "yes", False: "no", None: "?"}
print(f"{'':50}{'py_function':>16}{'numpy_function':>18}")
right = asked = 0
for question, guesses in predictions.items():
    row = ""
    for guess, answer, width in zip(guesses, found[question], (16, 18), strict=True):
        asked, right = asked + 1, right + (guess == answer)
        row += f"{words[bool(answer)] + ' (you: ' + words[guess] + ')':>{width}}"
    print(f"{question:50}{row}")
print(f"\nforeseen: {right} of {asked}")

assert {question: [bool(x) for x in answers] for question, answers in found.items()} == {
    "its gradient is right": [True, False],
    "its second derivative is right": [True, False],
    "its body runs again to find the gradient": [False, False],
    "it may write into its argument": [False, False],
    "it works inside of mg.function": [True, True],
    "it runs even if nobody uses its result": [True, True],
    "it compiles, if its body has no `if` on values": [True, False],
    "it compiles, if its body has an `if` on values": [False, False],
    "compiled, nothing of it is tied to this process": [True, False],
}

# %% [markdown]
# **What to take along.** Ask one question: *is it heard?*
#
# - Heard, so known: gradients of any order, graphs, native code, a text that can travel.
# - Not heard: it runs, in its place and on time, and nothing is claimed about it. You get `None`
#   with a reason, or an error with a line, and never a number that nobody knows.
#
# So: use minigrad's functions where you can; `py_function` where Python must decide;
# `numpy_function` where you need somebody else's code, with `mg.custom_gradient` if you know its
# derivative.
#
# **Now you.** (a) Take your own favourite NumPy function to the second door, and give it a
# derivative with `mg.custom_gradient`; check it with `differences`. (b) Rewrite `patient_huber`
# so that it compiles: with `mg.while_loop`, or without any loop, by `mg.sort`. (c) Write a body
# that leaves through NumPy in a way that is harmless, and convince yourself that it is.
