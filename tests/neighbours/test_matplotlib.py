"""matplotlib draws tensors."""

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import minigrad as mg

X = mg.constant(np.linspace(0.1, 0.9, 12))
IMAGE = mg.reshape(X, (4, 3))
V = mg.Variable(np.arange(4.0))
COUNT = mg.constant([1, 2, 3, 4])

DRAWN: dict[str, Any] = {
    "plot": lambda ax: ax.plot(X, X**2),
    "columns": lambda ax: ax.plot(IMAGE),
    "variable": lambda ax: ax.plot(V),
    "scatter": lambda ax: ax.scatter(X, X, c=X, s=X * 10),
    "bar": lambda ax: ax.bar(COUNT, V),
    "hist": lambda ax: ax.hist(X, bins=5),
    "hist2d": lambda ax: ax.hist2d(X, X),
    "imshow": lambda ax: ax.imshow(IMAGE),
    "contour": lambda ax: ax.contour(IMAGE),
    "pcolormesh": lambda ax: ax.pcolormesh(IMAGE),
    "errorbar": lambda ax: ax.errorbar(X, X, yerr=X * 0.1),
    "fill_between": lambda ax: ax.fill_between(X, X, X * 2),
    "boxplot": lambda ax: ax.boxplot(IMAGE),
    "violinplot": lambda ax: ax.violinplot(IMAGE),
    "step": lambda ax: ax.step(X, X),
    "stem": lambda ax: ax.stem(X),
    "stairs": lambda ax: ax.stairs(X),
    "pie": lambda ax: ax.pie(X),
    "hexbin": lambda ax: ax.hexbin(X, X, gridsize=3),
    "loglog": lambda ax: ax.loglog(V + 1, V + 1),
    "lines and limits": lambda ax: (ax.axhline(X[0]), ax.set_xlim(X[0], X[-1])),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_tensor_is_drawn_as_its_array_is(draw: Any) -> None:
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    canvas.draw()


def test_a_line_has_the_values_of_the_tensor() -> None:
    (line,) = Figure().add_subplot().plot(X, X**2)
    np.testing.assert_array_equal(line.get_ydata(), X.numpy() ** 2)
