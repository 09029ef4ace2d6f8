"""scikit-learn with array_api_dispatch: tensors in, tensors out, as far as it assigns no items."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KernelCenterer, LabelEncoder, MinMaxScaler, StandardScaler

import minigrad as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
LABELS = (X[:, 0] > 0).astype(np.int64)
TARGET = X @ np.array([2.0, 1.0, 0.0, -1.0])


@pytest.fixture
def dispatch() -> Iterator[None]:
    with config_context(array_api_dispatch=True):
        yield


TRANSFORMED: dict[str, Any] = {
    "PCA": lambda x: PCA(2, svd_solver="full").fit(x).transform(x),
    "KernelCenterer": lambda x: KernelCenterer().fit_transform(linear_kernel(x)),
    "linear_kernel": linear_kernel,
    "polynomial_kernel": lambda x: polynomial_kernel(x, degree=2),
    "train_test_split": lambda x: train_test_split(x, random_state=0)[0],
}


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("body", TRANSFORMED.values(), ids=TRANSFORMED)
def test_tensors_give_tensors_that_are_differentiable(body: Any) -> None:
    x = mg.constant(X)
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = body(x)
    theirs = body(X)
    assert type(y) is mg.Tensor
    np.testing.assert_allclose(mg.abs(y), np.abs(theirs), rtol=1e-7, atol=1e-10)
    direction, h = RNG.normal(size=X.shape), 1e-6
    weights = mg.constant(RNG.normal(size=theirs.shape))
    slope = np.sum(tape.gradient(y, x, weights).numpy() * direction)
    ahead, behind = (
        np.sum(body(mg.constant(X + s * h * direction)).numpy() * weights.numpy()) for s in (1, -1)
    )
    assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-4)


@pytest.mark.usefixtures("dispatch")
def test_metrics_and_labels() -> None:
    y, z = mg.constant(TARGET), mg.constant(TARGET + 0.5)
    assert mean_squared_error(y, z) == pytest.approx(0.25)
    assert mean_absolute_error(y, z) == pytest.approx(0.5)
    assert accuracy_score(mg.constant(LABELS), mg.constant(LABELS)) == 1.0
    found = LabelEncoder().fit_transform(mg.constant(LABELS * 7))
    assert type(found) is mg.Tensor and found.numpy().tolist() == LABELS.tolist()


@pytest.mark.usefixtures("dispatch")
def test_what_assigns_items_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match="tensors are immutable; write"):
        MinMaxScaler().fit(mg.constant(X))


def test_without_dispatch_tensors_are_arrays() -> None:
    x, labels = mg.constant(X), mg.constant(LABELS)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(x, labels)
    assert model.score(x, labels) > 0.8
    assert type(StandardScaler().fit_transform(mg.Variable(X))) is np.ndarray
