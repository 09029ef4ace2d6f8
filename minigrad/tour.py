"""A tour of minigrad: train on real data, open the two doors to Python, look inside, measure."""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import minigrad as mg
from minigrad.codegen.jit import available as llvm_is_available
from minigrad.terminal import WIDTH, check, heading, quote, say, show

BATCH, EPOCHS, WANTED = 128, 30, 0.95
SECONDS = 5  # of racing
Array = np.ndarray[Any, Any]

# --- what is trained, as a user of minigrad would write it ------------------------------------


class Classifier(mg.Module):
    """A multilayer perceptron: images in, one logit for each class out."""

    def __init__(self, sizes: tuple[int, ...], seed: int) -> None:
        generator = mg.random.Generator(seed)
        self.layers = [
            {
                "w": mg.Variable(generator.normal((n, m), std=n**-0.5), name=f"w{i}"),
                "b": mg.Variable(mg.zeros(m), name=f"b{i}"),
            }
            for i, (n, m) in enumerate(pairwise(sizes))
        ]

    def __call__(self, x: Any) -> Any:
        """The logits of a batch of images, one image a row."""
        *hidden, last = self.layers
        for layer in hidden:
            x = mg.tanh(x @ layer["w"] + layer["b"])
        return x @ last["w"] + last["b"]


def training_step(model: Classifier, optimizer: mg.optimizers.Optimizer) -> Callable[..., Any]:
    """One step of training: forward, backward and the optimizer, in plain Python."""
    weights = model.trainable_variables

    def step(images: Any, labels: Any) -> Any:
        with mg.GradientTape() as tape:
            loss = mg.mean(mg.nn.softmax_cross_entropy(model(images), labels))
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return step


# --- the two doors ----------------------------------------------------------------------------


@mg.py_function(Tout=mg.float64)
def patient_loss(logits: Any, labels: Any) -> Any:
    """The loss of the hard images while there are many of them; else that of all."""
    losses = mg.nn.softmax_cross_entropy(logits, labels)
    hard = losses > 2
    if mg.count_nonzero(hard) > 5:  # a decision on values, in plain Python
        return mg.mean(losses[hard])
    return mg.mean(losses)


@mg.numpy_function(Tout=mg.TensorSpec((None, 64), mg.float32))
def stretched(images: Array) -> Array:
    """Images with more contrast, by a NumPy function that minigrad does not have."""
    return np.interp(images, [0.2, 0.8], [0.0, 1.0]).astype(np.float32)


# --- the same step by hand, to compare with ---------------------------------------------------


class ByHand:
    """The training step in plain NumPy: every derivative worked out on paper, Adam included."""

    def __init__(self, model: Classifier, rate: float) -> None:
        self.rate, self.count = rate, 0
        self.weights = [np.array(v.numpy()) for v in model.trainable_variables]
        self.means = [np.zeros_like(w) for w in self.weights]
        self.squares = [np.zeros_like(w) for w in self.weights]

    def __call__(self, images: Array, labels: Array) -> Any:
        """Do one step; the loss before it."""
        inputs, x = [], images
        for i in range(0, len(self.weights), 2):
            inputs.append(x)
            x = x @ self.weights[i] + self.weights[i + 1]
            if i + 2 < len(self.weights):
                x = np.tanh(x)
        rows = np.arange(len(labels))
        shifted = x - x.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - shifted[rows, labels])
        g = e / total
        g[rows, labels] -= 1
        g /= len(labels)
        grads: list[Array] = []
        for i in range(len(self.weights) - 2, -1, -2):
            x = inputs[i // 2]
            grads[:0] = [x.T @ g, g.sum(axis=0)]
            if i:
                g = (g @ self.weights[i].T) * (1 - x * x)
        self.adam(grads)
        return loss

    def adam(self, grads: list[Array]) -> None:
        """Kingma and Ba (2015), algorithm 1."""
        self.count += 1
        scale = np.float32(self.rate / (1 - 0.9**self.count))
        unbias = np.float32(1 / np.sqrt(1 - 0.999**self.count))
        for w, m, v, g in zip(self.weights, self.means, self.squares, grads, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * (g * g)
            w -= scale * m / (np.sqrt(v) * unbias + 1e-8)


# --- the chapters -----------------------------------------------------------------------------


class Digits:
    """Scikit-learn's digits: images of 8 x 8 pixels as rows of 64, from 0 to 1; and labels."""

    def __init__(self) -> None:
        data = load_digits()
        images = (data.data / 16).astype(np.float32)
        parts = train_test_split(
            images, data.target.astype(np.int32), test_size=360, random_state=0
        )
        self.images, self.test_images, self.labels, self.test_labels = parts

    def batches(self, generator: np.random.Generator) -> list[tuple[Array, Array]]:
        """The training images in random order, in batches of one size."""
        order = generator.permutation(len(self.images))
        picks = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
        return [(self.images[rows], self.labels[rows]) for rows in picks]

    def accuracy(self, model: Callable[[Any], Any]) -> float:
        """The part of the held-out images whose largest logit is the right one."""
        right = mg.argmax(model(self.test_images), axis=1) == self.test_labels
        return float(mg.mean(mg.astype(right, mg.float32)))


def meet(digits: Digits) -> None:
    """Chapter 1: the data."""
    heading(1, "The data")
    say(
        f"scikit-learn brings {len(digits.images) + 360} handwritten digits, 8 x 8 pixels each. "
        f"We train on {len(digits.images)}, and hold out 360 to see what was learned:"
    )
    shades = np.array(list(" ░▒▓█"))
    levels = np.round(digits.test_images[:5].reshape(5, 8, 8) * 4).astype(int)
    pictures = np.repeat(shades[levels], 2, axis=2)
    rows = ["  ".join("".join(picture[i]) for picture in pictures) for i in range(8)]
    show("\n".join([*rows, "  ".join(f"{f'a {n}':^16}" for n in digits.test_labels[:5])]))


def train(digits: Digits) -> tuple[Classifier, Any, list[tuple[float, float]]]:
    """Chapter 2: training in one compiled step. Gives model, step, and (loss, accuracy) curve."""
    heading(2, "One compiled step: forward, backward and Adam")
    say("This is the whole training step, as you would write it to run line by line:")
    show(inspect.getsource(training_step))
    model = Classifier((64, 128, 64, 10), seed=0)
    step = mg.function(training_step(model, mg.optimizers.Adam(3e-3)), jit_compile=True)
    say(
        "mg.function(step, jit_compile=True) runs it once, on symbols, to write a graph; then "
        "fuses that graph, and compiles it to native code. The first call does all of it:"
    )
    generator = np.random.default_rng(0)
    start = time.perf_counter()
    step(*digits.batches(generator)[0])
    say(f"Traced, fused and compiled in {time.perf_counter() - start:.2f} s.")
    if not llvm_is_available():
        say(
            "llvmlite is not here, so there is no native code: the same groups are run by NumPy, "
            "with the same meaning, more slowly. `pip install llvmlite` gives you the rest."
        )
    curve = []
    start = time.perf_counter()
    with tqdm(range(EPOCHS), "training", ncols=WIDTH) as bar:
        for _ in bar:
            losses = [float(step(*batch)) for batch in digits.batches(generator)]
            curve.append((float(np.mean(losses)), digits.accuracy(model)))
            bar.set_postfix(loss=f"{curve[-1][0]:.3f}", held_out=f"{curve[-1][1]:.1%}")
    steps = EPOCHS * (len(digits.images) // BATCH)
    print()
    say(f"{steps} steps in {time.perf_counter() - start:.2f} s.")
    check(
        curve[-1][1] >= WANTED,
        f"{curve[-1][1]:.1%} of the held-out images are read rightly (at least {WANTED:.0%})",
    )
    return model, step, curve


def differences(function: Callable[[Any], Any], x: Array, h: float = 1e-6) -> Array:
    """The gradient of a scalar function at `x`, by central differences."""
    slopes = np.empty_like(x)
    for i in np.ndindex(x.shape):
        near = []
        for moved in (x[i] + h, x[i] - h):
            y = x.copy()
            y[i] = moved
            near.append(float(function(mg.constant(y))))
        slopes[i] = (near[0] - near[1]) / (2 * h)
    return slopes


def traced_door(model: Classifier, digits: Digits) -> None:
    """Chapter 3: py_function keeps Python differentiable."""
    heading(3, "py_function: a Python `if` on values, and still a gradient")
    say("This loss looks at the numbers before it decides what to compute:")
    show(inspect.getsource(patient_loss))
    say(
        "Its operations are minigrad's, so the tape follows whichever branch is taken. We move "
        "every logit of 24 images by a millionth, both ways, and compare:"
    )
    labels = mg.constant(digits.labels[:24])
    for name, network in {"untrained": Classifier((64, 10), seed=1), "trained": model}.items():
        logits = mg.astype(network(digits.images[:24]), mg.float64)
        with mg.GradientTape() as tape:
            tape.watch(logits)
            loss = patient_loss(logits, labels)
        found = tape.gradient(loss, logits).numpy()
        wanted = differences(lambda x: patient_loss(x, labels), logits.numpy())
        worst = np.abs(found - wanted).max()
        check(
            worst < 1e-8,
            f"{name}: loss {float(loss):.4f}, {np.count_nonzero(found.any(axis=1))} images count; "
            f"gradient against differences: {worst:.1e} off at worst",
        )


def opaque_door(model: Classifier, step: Any, digits: Digits) -> None:
    """Chapters 4 and 5: numpy_function is opaque, and says so."""
    heading(4, "numpy_function: anything goes in, no gradient comes out, and you are told")
    show(inspect.getsource(stretched))
    say("np.interp is nothing that minigrad can see into. So what is the gradient through it?")
    images = mg.constant(digits.images[:8])
    with mg.GradientTape(persistent=True) as tape:
        tape.watch(images)
        loss = mg.mean(mg.nn.softmax_cross_entropy(model(stretched(images)), digits.labels[:8]))
    gradient = tape.gradient(loss, images)
    show(f">>> tape.gradient(loss, images)\n{gradient}\n>>> print(tape.explain(loss, images))")
    explanation = tape.explain(loss, images)
    quote(explanation)
    check(
        gradient is None and explanation.kind == "opaque" and "tour.py" in explanation.where,
        "no gradient, no guess: None, with the reason, the function and the line",
    )

    heading(5, "The compiler says no before anything runs")

    @mg.function(jit_compile=True)
    def opaque_step(images: Any, labels: Any) -> Any:
        return step(stretched(images), labels)

    say("A compiled step cannot call back into NumPy. Asked to, it refuses:")
    before = model.state_dict()
    try:
        opaque_step(digits.images[:BATCH], digits.labels[:BATCH])
        message = ""
    except mg.errors.UncompilableError as error:
        message = str(error)
    quote(message)
    same = all(np.array_equal(before[name], now) for name, now in model.state_dict().items())
    check(message and same, "rejected by name and line, and not one weight has moved")


def look_inside(step: Any, digits: Digits) -> None:
    """Chapter 6: what the compiler made of the step."""
    heading(6, "Inside: groups of ops, loops, LLVM")
    batch = digits.images[:BATCH], digits.labels[:BATCH]
    *parts, schedule = step.compiler_ir(*batch, stage="fused").split("\n\n\n")
    groups = [part for part in parts if " matrix_product(" not in part]
    say(
        f"The step was traced to {len(step.graph_for(*batch).nodes)} ops. Whatever one loop nest "
        f"can do became a group: {len(groups)} of them, named after ops in them. Products have "
        "kernels of their own, which add a bias and take its tanh on the way. "
        "Weights are inputs, new weights are outputs, and this is the whole program:"
    )
    show(schedule.split("\n):\n")[-1])
    nests = step.compiler_ir(*batch, stage="loops").split("\n\n")
    softmax = next(nest for nest in nests if "exp(" in nest)
    say(
        "Look at one group: the softmax, the loss and its derivative, forward and backward, in "
        "one walk over the rows of a batch. Rows of ten are short, so many go abreast, one in each "
        "lane of a vector: `by` says how many at once."
    )
    show(softmax)
    say("A shorter one makes Adam's moments, and the new weights of a layer:")
    show(min([nest for nest in nests if "sqrt(" in nest and "for j" in nest], key=len))
    say("And so it begins as LLVM assembly. An expm1 is a polynomial, written out:")
    show(step.compiler_ir(*batch, stage="llvm"), first=24)


def race(digits: Digits) -> None:
    """Chapter 7: the same step eagerly, traced, compiled, and in NumPy by hand."""
    heading(7, "The same step, four ways")
    say(
        "Eager minigrad, the traced graph, the compiled step, and NumPy with every derivative "
        "worked out by hand. The same weights, the same batches, BLAS on one thread for all:"
    )
    batches = digits.batches(np.random.default_rng(1))
    rate = 1e-3
    models = [Classifier((64, 128, 64, 10), seed=2) for _ in range(4)]
    steps = [training_step(model, mg.optimizers.Adam(rate)) for model in models[:3]]
    by_hand = ByHand(models[3], rate)
    runners: dict[str, Callable[..., Any]] = {
        "NumPy by hand": by_hand,
        "eager": steps[0],
        "traced": mg.function(steps[1]),
        "compiled": mg.function(steps[2], jit_compile=True),
    }
    for batch in batches:
        for run in runners.values():
            run(*batch)
    weights = [np.concatenate([np.ravel(v) for v in by_hand.weights])]
    for model in models[:3]:
        weights.append(np.concatenate([np.ravel(v.numpy()) for v in model.trainable_variables]))
    worst = max(np.abs(w - weights[0]).max() for w in weights)
    check(worst < 1e-4, f"after {len(batches)} steps all weights agree: {worst:.0e} apart at worst")
    best = dict.fromkeys(runners, np.inf)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for name, run in runners.items():
            start = time.perf_counter()
            for batch in batches:
                run(*batch)
            best[name] = min(best[name], (time.perf_counter() - start) / len(batches))
    slowest = max(best.values())
    rows = [
        f"{name:14} {seconds * 1e6:7.0f} µs   {best['NumPy by hand'] / seconds:4.1f} x   "
        + "█" * round(40 * seconds / slowest)
        for name, seconds in best.items()
    ]
    show("\n".join([f"{'':14} {'a step':>10}   speed", *rows]))


def keep(folder: Path, step: Any, digits: Digits, curve: list[tuple[float, float]]) -> None:
    """Chapter 8: pictures of the graph and of the learning."""
    heading(8, "To take along")
    folder.mkdir(parents=True, exist_ok=True)
    losses, accuracies = zip(*curve, strict=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(curve) + 1), losses, color="tab:red")
    axes.set(xlabel="epoch", ylabel="training loss, nats", yscale="log")
    axes.yaxis.label.set_color("tab:red")
    right = axes.twinx()
    right.plot(range(1, len(curve) + 1), [100 * a for a in accuracies], color="tab:blue")
    right.axhline(100 * WANTED, color="tab:blue", linestyle=":")
    right.set_ylabel("held-out images read rightly, %", color="tab:blue")
    figure.savefig(folder / "learning_curve.png", dpi=150)
    graph = step.graph_for(digits.images[:BATCH], digits.labels[:BATCH])
    mg.visualize.svg(graph).save(folder / "training_step.svg")
    say("Written, for you to look at:")
    show(
        f"{folder / 'learning_curve.png'}    loss and accuracy, epoch by epoch\n"
        f"{folder / 'training_step.svg'}     the traced step; open it in a browser, and point at it"
    )


def main(arguments: list[str] | None = None) -> None:
    """Take the tour. Exits with an error where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m minigrad", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("tour_output"), help="folder for the pictures"
    )
    folder = parser.parse_args(arguments).output
    start = time.perf_counter()
    digits = Digits()
    meet(digits)
    with threadpool_limits(
        1, "blas"
    ):  # products are small: a second thread costs more than it does
        model, step, curve = train(digits)
        traced_door(model, digits)
        opaque_door(model, step, digits)
        look_inside(step, digits)
        race(digits)
    keep(folder, step, digits, curve)
    say(f"The tour took {time.perf_counter() - start:.0f} s.")
