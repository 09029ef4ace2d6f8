"""Functions for neural networks: against plain formulas and SciPy, at extremes, and twice."""

from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.special

import minigrad as mg
from minigrad.errors import SpecError

nn = mg.nn
RNG = np.random.default_rng(0)
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x * scipy.special.expit(x),
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(x, 0),
    "gelu": lambda x: x * scipy.special.ndtr(x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, check_gradients: Any) -> None:
    x = np.linspace(-900, 900, 31) if name != "gelu" else np.linspace(-6, 6, 31)
    f = getattr(nn, name)
    atol = 5e-4 if name == "gelu" else 1e-300  # that of the tanh form; that of subnormals
    np.testing.assert_allclose(f(x).numpy(), ACTIVATIONS[name](x), rtol=1e-13, atol=atol)
    assert f(mg.constant([1.0, -1.0])).dtype == np.float32
    check_gradients(f, np.array([-2.0, -0.5, 0.3, 2.0]))


def test_gelu_can_be_exact(check_gradients: Any) -> None:
    x = np.linspace(-6, 6, 31)
    found = nn.gelu(x, approximate=False).numpy()
    np.testing.assert_allclose(found, ACTIVATIONS["gelu"](x), rtol=1e-12)
    check_gradients(lambda x: nn.gelu(x, approximate=False), np.array([-0.7, 1.2]))


def test_elu_falls_to_minus_alpha(check_gradients: Any) -> None:
    x = np.array([-40.0, -1.0, 2.0])
    np.testing.assert_allclose(nn.elu(x, 0.5).numpy(), [-0.5, 0.5 * np.expm1(-1.0), 2.0])
    check_gradients(lambda x: nn.elu(x, 0.5), np.array([-2.0, -0.5, 0.3]))


def test_the_derivative_of_relu_at_0_is_0() -> None:
    x = mg.constant([-1.0, 0.0, 1.0])
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = nn.relu(x)
    assert tape.gradient(y, x).numpy().tolist() == [0, 0, 1]


# softmax and losses


@pytest.mark.parametrize("axis", [-1, 0, (0, 2)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_and_its_relatives(name: str, axis: Any, check_gradients: Any) -> None:
    x = RNG.normal(size=(2, 3, 4)) * 100
    expected = getattr(scipy.special, name)(x, axis=axis)
    f = getattr(nn, name)
    np.testing.assert_allclose(f(x, axis=axis).numpy(), expected, rtol=1e-10, atol=1e-300)
    check_gradients(lambda x: f(x, axis=axis), x / 100)


def test_logsumexp_of_extremes() -> None:
    x = np.array([[-np.inf, -np.inf], [1000, 1000], [-np.inf, 3], [np.inf, 0]])
    with np.errstate(divide="ignore"):
        found = nn.logsumexp(x).numpy()
    np.testing.assert_allclose(found, [-np.inf, 1000 + np.log(2), 3, np.inf])
    assert nn.logsumexp(x[1:3], axis=None, keepdims=True).shape == (1, 1)


@pytest.mark.parametrize("labels", [np.array([1, 0, 3]), np.array([1, 0, 3], np.uint8)])
def test_cross_entropy_of_whole_numbers(labels: Any, check_gradients: Any) -> None:
    logits = RNG.normal(size=(3, 4))
    expected = -scipy.special.log_softmax(logits, axis=-1)[range(3), labels]
    found = nn.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(found.numpy(), expected)
    one_hot = np.eye(4)[labels]
    np.testing.assert_allclose(nn.softmax_cross_entropy(logits, one_hot).numpy(), expected)
    check_gradients(lambda x: nn.softmax_cross_entropy(x, labels), logits)


def test_cross_entropy_of_probabilities_has_gradients_for_both(check_gradients: Any) -> None:
    check_gradients(nn.softmax_cross_entropy, RNG.normal(size=(3, 4)), RNG.uniform(size=(3, 4)))


def test_cross_entropy_of_large_logits_stays_finite() -> None:
    logits = mg.constant([[1e4, 0.0], [0.0, 1e4]])
    with mg.GradientTape() as tape:
        tape.watch(logits)
        loss = nn.softmax_cross_entropy(logits, [0, 0])
    assert loss.numpy().tolist() == [0, 1e4]
    assert tape.gradient(loss, logits).numpy().tolist() == [[0, 0], [-1, 1]]


def test_a_label_that_is_no_class_gives_nan() -> None:
    loss = nn.softmax_cross_entropy(mg.zeros((3, 2)), [-1, 2, 1]).numpy()
    assert np.isnan(loss).tolist() == [True, True, False]
    loss = nn.softmax_cross_entropy(mg.zeros((2, 2)), [2**32, 1]).numpy()  # 0 in four bytes
    assert np.isnan(loss).tolist() == [True, False]


def test_labels_of_another_rank_are_refused() -> None:
    with pytest.raises(SpecError, match=r"labels float32\[3\]: labels are whole numbers"):
        nn.softmax_cross_entropy(mg.zeros((3, 2)), mg.zeros(3))


def test_sigmoid_cross_entropy_keeps_small_losses(check_gradients: Any) -> None:
    logits, labels = np.array([-40.0, 40, 0, 800, -800]), np.array([0, 1, 0.5, 0, 1])
    expected = [np.exp(-40.0), np.exp(-40.0), np.log(2), 800, 800]
    np.testing.assert_allclose(nn.sigmoid_cross_entropy(logits, labels).numpy(), expected)
    assert nn.sigmoid_cross_entropy(mg.zeros(2), [True, False]).dtype == np.float32
    check_gradients(nn.sigmoid_cross_entropy, RNG.normal(size=3), RNG.uniform(size=3))


# layers


def test_layer_norm(check_gradients: Any) -> None:
    x, gamma, beta = RNG.normal(size=(2, 3, 5)), RNG.normal(size=5), RNG.normal(size=5)
    plain = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.layer_norm(x).numpy(), plain)
    np.testing.assert_allclose(nn.layer_norm(x, gamma, beta).numpy(), plain * gamma + beta)
    check_gradients(nn.layer_norm, x, gamma, beta)


def test_dropout_scales_what_it_keeps_and_draws_anew() -> None:
    g = mg.random.Generator(0)
    x = mg.ones((100, 100))
    first, second = (nn.dropout(x, 0.25, g).numpy() for _ in range(2))
    assert set(np.unique(first)) == {0, np.float32(1 / 0.75)}
    assert first.mean() == pytest.approx(1, abs=0.03)
    assert (first != second).any()
    assert nn.dropout(x, 0.25, training=False) is x
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = nn.dropout(x, 0.25, g)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())


@pytest.mark.parametrize(
    ("rate", "message"), [(1.0, "rate=1.0 came"), (-0.1, "rate=-0.1 came"), (0.5, "no generator")]
)
def test_dropout_says_what_it_needs(rate: float, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        nn.dropout(mg.ones(3), rate)


def test_one_hot_and_embedding(check_gradients: Any) -> None:
    ids = np.array([[0, 2], [5, 0]])
    found = nn.one_hot(ids, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.numpy(), ids[..., None] == np.arange(3))
    assert nn.one_hot(ids, 3, dtype=mg.bool).dtype == np.bool_
    table = RNG.normal(size=(6, 3))
    np.testing.assert_array_equal(nn.embedding(ids, table).numpy(), table[ids])
    check_gradients(lambda table: nn.embedding(ids, table), table)
    with pytest.raises(SpecError, match="an index is a whole number"):
        nn.one_hot(mg.ones(2), 3)


def test_attention(check_gradients: Any) -> None:
    q, k, v = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4)), RNG.normal(size=(2, 5, 6))
    scores = q @ k.mT / 2
    np.testing.assert_allclose(
        nn.scaled_dot_product_attention(q, k, v).numpy(), scipy.special.softmax(scores, -1) @ v
    )
    mask = np.tri(3, 5, dtype=bool)
    hidden = np.where(mask, scores, -np.inf)
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        found = nn.scaled_dot_product_attention(q, k, v, m).numpy()
        np.testing.assert_allclose(found, scipy.special.softmax(hidden, -1) @ v)
    blind = nn.scaled_dot_product_attention(q, k, v, np.zeros((3, 5), bool)).numpy()
    np.testing.assert_allclose(blind, np.broadcast_to(v.mean(1, keepdims=True), blind.shape))
    check_gradients(lambda *x: nn.scaled_dot_product_attention(*x, mask), q, k, v)


# images


def slow_convolution(x: Any, w: Any, strides: Any, padding: str) -> Any:
    """The full correlation of SciPy, cut to the places that count."""
    n, height, width, _ = x.shape
    if padding == "SAME":
        missing = [
            max((-(-size // s) - 1) * s + k - size, 0)
            for size, k, s in zip((height, width), w.shape[:2], strides, strict=True)
        ]
        x = np.pad(x, ((0, 0), *[(m // 2, m - m // 2) for m in missing], (0, 0)))
    maps = [
        [
            sum(scipy.signal.correlate(x[i, :, :, c], w[:, :, c, o], "valid") for c in range(2))
            for o in range(w.shape[3])
        ]
        for i in range(n)
    ]
    return np.moveaxis(np.array(maps), 1, 3)[:, :: strides[0], :: strides[1]]


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("size", [(3, 2), (1, 1), (4, 5)])
def test_conv2d(size: Any, strides: Any, padding: str, check_gradients: Any) -> None:
    x, w = RNG.normal(size=(2, 5, 6, 2)), RNG.normal(size=(*size, 2, 3))
    found = nn.conv2d(x, w, strides, padding)
    expected = slow_convolution(x, w, strides, padding)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-12)
    check_gradients(lambda x, w: nn.conv2d(x, w, strides, padding), x, w)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("strides", [1, 2, (2, 3)])
@pytest.mark.parametrize("size", [(5, 5, 6, 16), (2, 3, 6, 5), (1, 1, 6, 33)])
def test_conv2d_compiled_is_the_same(size: Any, strides: Any, padding: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, w = (mg.asarray(rng.standard_normal(n).astype(dtype)) for n in ((3, 9, 12, 6), size))

    def both(x: Any, w: Any) -> Any:
        with mg.GradientTape() as tape:
            tape.watch([x, w])
            y = nn.conv2d(x, w, strides, padding)
            loss = mg.sum(mg.sin(y))
        return (y, *tape.gradient(loss, [x, w]))

    tolerance = 1e-3 if dtype == "float32" else 1e-11
    for ours, theirs in zip(mg.function(both, jit_compile=True)(x, w), both(x, w), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=tolerance)


def test_conv2d_in_blocks_is_the_same(
    monkeypatch: pytest.MonkeyPatch, check_gradients: Any
) -> None:
    x, w = RNG.normal(size=(5, 6, 6, 2)).astype(np.float32), RNG.normal(size=(3, 3, 2, 2))
    whole = nn.conv2d(x, w)
    monkeypatch.setattr("minigrad.nn.convolution.PATCHES", 1)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(nn.conv2d(x, w).numpy(), whole.numpy(), rtol=1e-12, atol=1e-12)
    check_gradients(nn.conv2d, x, w)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((2, 5, 5, 3), (3, 3, 2, 4), {}, "with 3 channels, w is .* for 2"),
        ((5, 5, 3), (3, 3, 3, 4), {}, r"x has axes \(n, height, width, channels\)"),
        ((2, 5, 5, 3), (6, 3, 3, 4), {}, "a filter of 6 does not fit into 5"),
        ((2, 5, 5, 3), (3, 3, 3, 4), {"padding": "same"}, "padding='same' came"),
        ((2, 5, 5, 3), (3, 3, 3, 4), {"strides": 0}, "strides=0 came"),
    ],
)
def test_conv2d_says_what_does_not_fit(x: Any, w: Any, options: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        nn.conv2d(mg.ones(x), mg.ones(w), **options)


@pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 2), ((3, 2), (2, 1)), (1, 2)])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling(name: str, size: Any, strides: Any, check_gradients: Any) -> None:
    x = RNG.normal(size=(2, 4, 6, 3))
    height, width = size if isinstance(size, tuple) else (size, size)
    down, across = strides if isinstance(strides, tuple) else (strides or size,) * 2
    view = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    reduced = view.max((-2, -1)) if name == "max_pool2d" else view.mean((-2, -1))
    found = getattr(nn, name)(x, size, strides)
    np.testing.assert_allclose(found.numpy(), reduced[:, ::down, ::across])
    check_gradients(lambda x: getattr(nn, name)(x, size, strides), x)


@pytest.mark.parametrize("strides", [2, 1])
def test_a_tie_in_a_window_shares_its_gradient(strides: int) -> None:
    x = mg.ones((1, 2, 2, 1))
    with mg.GradientTape() as tape:
        tape.watch(x)
        y = nn.max_pool2d(x, 2, strides)
    assert tape.gradient(y, x).numpy().ravel().tolist() == [0.25] * 4


def test_pooling_says_what_does_not_fit() -> None:
    with pytest.raises(SpecError, match=r"a window of \(3, 3\) does not fit into the image"):
        nn.max_pool2d(mg.ones((1, 2, 2, 1)), 3)
    with pytest.raises(SpecError, match="max_pool2d: size=0 came"):
        nn.max_pool2d(mg.ones((1, 2, 2, 1)), 0)
