"""Random numbers: their distributions, their reproduction, and their state."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

import minigrad as mg
from minigrad.errors import SpecError
from minigrad.ops import box_muller, random_ops

N = 20_000


def generator() -> Any:
    return mg.random.Generator(0)


def test_the_stream_of_a_seed_never_changes() -> None:
    g = generator()
    assert g.integers(100, shape=5).numpy().tolist() == [1, 25, 47, 9, 97]
    expected = [0.16697299, 0.024339378, 0.9485631]
    np.testing.assert_allclose(g.uniform(3).numpy(), expected, rtol=1e-6)
    expected = [0.3187662649524036, 1.2488207060506378, 0.05997441847921279]
    np.testing.assert_allclose(g.normal(3, dtype=mg.float64).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "options", "distribution"),
    [
        ("uniform", {}, scipy.stats.uniform()),
        ("uniform", {"low": -2, "high": 5}, scipy.stats.uniform(-2, 7)),
        ("normal", {}, scipy.stats.norm()),
        ("normal", {"mean": 3, "std": 0.5}, scipy.stats.norm(3, 0.5)),
        ("truncated_normal", {}, scipy.stats.truncnorm(-2, 2)),
        ("truncated_normal", {"low": 0, "high": 1}, scipy.stats.truncnorm(0, 1)),
    ],
)
def test_distributions(name: str, options: Any, distribution: Any, dtype: Any) -> None:
    x = getattr(generator(), name)((N // 2, 2), dtype=dtype, **options)
    assert x.dtype == dtype and x.shape == (N // 2, 2)
    assert scipy.stats.kstest(x.numpy().ravel(), distribution.cdf).pvalue > 1e-3


def test_float16_numbers_stay_below_1() -> None:
    x = generator().uniform(N, dtype=mg.float16).numpy()
    assert x.dtype == np.float16 and x.min() >= 0 and x.max() < 1
    assert len(np.unique(x)) == 2048
    assert np.isfinite(generator().normal(N, dtype=mg.float16).numpy()).all()


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        *[(0, 10, np.int32), (-5, 5, np.int8), (-(2**63), 2**63, np.int64)],
        *[(0, 2**64, np.uint64), (7, 3 * 2**40, np.int64), (3, 5, np.uint8)],
    ],
)
def test_integers_fill_their_range_evenly(low: int, high: int, dtype: Any) -> None:
    x = generator().integers(low, high, N, dtype=dtype).numpy()
    assert x.dtype == dtype and low <= int(x.min()) and int(x.max()) < high
    tenths = np.array([int(v) - low for v in x], dtype=object) * 10 // (high - low)
    cells = min(10, high - low)
    counts = np.bincount(tenths.astype(int), minlength=10)
    assert scipy.stats.chisquare(counts[counts > 0]).pvalue > 1e-3
    assert np.count_nonzero(counts) == cells


@pytest.mark.parametrize("extent", [1, 10, 2**32, 2**32 + 1, 2**64 - 1, 2**64])
def test_integers_are_the_high_word_of_a_product(extent: int) -> None:
    state = generator().state.numpy()
    options = {"shape": (50,), "dtype": np.dtype(np.uint64), "low": 0, "high": extent}
    expected = [int(word) * extent >> 64 for word in random_ops.words(state, 50)]
    assert random_ops.random_integers.kernel(state, **options).tolist() == expected


def test_the_state_says_what_comes_next() -> None:
    g = generator()
    g.normal(3)
    saved = g.state.numpy().copy()
    first = g.uniform(4).numpy()
    g.state.assign(saved)
    np.testing.assert_array_equal(g.uniform(4).numpy(), first)
    other = mg.random.Generator.from_state(saved)
    np.testing.assert_array_equal(other.uniform(4).numpy(), first)


def test_draws_differ_from_each_other_and_between_seeds() -> None:
    def drawn(g: Any) -> Any:  # of 53 bits: of the 24 of float32, two of 800 may well be equal
        return g.uniform(100, dtype=mg.float64).numpy()

    g = generator()
    draws = [drawn(g), drawn(g)]
    draws += [drawn(mg.random.Generator(seed)) for seed in (1, None, None)]
    draws += [drawn(part) for part in generator().split(3)]
    assert len(np.unique(np.concatenate(draws))) == 100 * len(draws)


def test_a_longer_draw_begins_like_a_shorter_one() -> None:
    np.testing.assert_array_equal(
        generator().uniform(5).numpy(), generator().uniform((2, 4)).numpy().ravel()[:5]
    )


def test_bernoulli_and_categorical_have_their_probabilities() -> None:
    g = generator()
    assert g.bernoulli(0.3, (N,)).numpy().mean() == pytest.approx(0.3, abs=0.02)
    p = mg.constant(np.tile([0.0, 0.2, 1.0], (N, 1)))
    np.testing.assert_allclose(g.bernoulli(p).numpy().mean(0), [0, 0.2, 1], atol=0.02)
    classes = g.categorical(mg.constant(np.tile(np.log([0.1, 0.6, 0.3]), (N, 1)))).numpy()
    np.testing.assert_allclose(np.bincount(classes) / N, [0.1, 0.6, 0.3], atol=0.02)


def test_permutation_keeps_all_and_reaches_every_order() -> None:
    g = generator()
    assert sorted(g.permutation(50).numpy().tolist()) == list(range(50))
    assert len({tuple(g.permutation(3).numpy()) for _ in range(100)}) == 6
    x = np.arange(12).reshape(4, 3)
    assert sorted(map(tuple, g.permutation(x).numpy())) == sorted(map(tuple, x))
    np.testing.assert_array_equal(np.sort(g.permutation(x, axis=1).numpy()), x)


def test_gradients_pass_to_the_parameters_and_not_to_the_state() -> None:
    g = generator()
    mean, std = mg.Variable(1.0), mg.Variable(2.0)
    with mg.GradientTape() as tape:
        z = g.normal(1000, mean=mean, std=std)
    d_mean, d_std = tape.gradient(z, [mean, std])
    assert d_mean.item() == 1000
    assert d_std.item() == pytest.approx((z.numpy().sum() - 1000) / 2, rel=1e-4)
    assert not g.state.trainable


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda g: g.uniform((2,), dtype=mg.int32), "dtype int32 came; these numbers are real"),
        (lambda g: g.uniform((2, None)), "how many must be known"),
        (lambda g: g.integers(5, 5), "low must be below high"),
        (lambda g: g.integers(0, 300, dtype=mg.int8), "in the range of an integer dtype"),
        (lambda g: mg.random.Generator(-1), "a seed is a whole number from 0 on"),
        (lambda g: g.state.assign(mg.zeros(3)), "keeps its shape and dtype"),
        (lambda g: g.permutation(mg.ones(())), "axis 0 of a tensor with 0 axes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Any, message: str) -> None:
    g = generator()
    with pytest.raises(SpecError, match=message):
        draw(g)
    assert g.state.numpy()[2] == 0


@pytest.mark.parametrize("shape", [(), (1,), (7,), (33, 5), (600, 1001)])
@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
def test_compiled_functions_draw_the_same_numbers_to_the_bit(shape: Any, dtype: Any) -> None:
    def draws(g: Any) -> list[Any]:
        like = mg.zeros(shape, dtype=dtype)
        return [
            *(g.uniform(shape, dtype=dtype), g.normal(shape, dtype=dtype), g.uniform_like(like)),
            *(g.integers(-5, 7, shape), g.integers(2**64, shape=shape, dtype=mg.uint64)),
            *(g.bernoulli(0.3, shape), g.normal(shape, mean=3.0, dtype=dtype)),
        ]

    eager, g = generator(), generator()
    compiled = mg.function(lambda: draws(g), jit_compile=True)
    for _ in range(2):
        for x, y in zip(compiled(), draws(eager), strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())
    np.testing.assert_array_equal(g.state.numpy(), eager.state.numpy())


def test_a_draw_is_part_of_the_loop_that_uses_it() -> None:
    g, x = generator(), mg.ones((40, 50))

    @mg.function(jit_compile=True)
    def dropout(x: Any) -> Any:
        return mg.where(g.uniform(x.shape) < 0.9, x / 0.9, g.normal(x.shape))

    text = dropout.compiler_ir(x, stage="fused")
    assert text.count("a loop of its own: random_bits") == 2
    assert "library call" not in text
    if "kernel" in dropout.compiler_ir(x, stage="llvm"):
        assert "random bits of x0" in dropout.compiler_ir(x, stage="loops")


@pytest.mark.parametrize(("dtype", "kept", "eps"), [("u4", 32, 1.2e-7), ("u8", 53, 2.3e-16)])
def test_the_formulas_of_normal_numbers_are_exact_to_rounding(
    dtype: str, kept: int, eps: float
) -> None:
    words = np.random.default_rng(0).integers(0, 2**63, 20_000, np.uint64) >> np.uint64(31)
    words = words << np.uint64(31) | words[::-1] if dtype == "u8" else words
    words = words.astype(dtype)
    words[:4] = [0, 1, 5, words.max() // 2]
    u = (words >> words.dtype.type(8 * words.itemsize - kept)) + 0.5
    radius, word = box_muller.radius_of_words(mg.constant(words)), mg.constant(words)
    expected = np.sqrt(-2 * (np.log(u.astype(np.longdouble)) - kept * np.log(np.longdouble(2))))
    np.testing.assert_allclose(radius.numpy(), expected, rtol=4 * eps)
    bits = 24 if dtype == "u4" else 53
    turn = (words >> words.dtype.type(8 * words.itemsize - bits)) * 2.0**-bits
    for quarters in range(4):
        number = mg.constant(np.array(quarters, dtype))
        found = box_muller.point_of_words(mg.ones_like(radius), word, number)
        expected = np.cos(2 * np.pi * turn + quarters * np.pi / 2)
        np.testing.assert_allclose(found.numpy(), expected, atol=5 * eps)


def test_words_that_are_none_are_refused() -> None:
    word = mg.constant(np.zeros(3, np.uint32))
    with pytest.raises(SpecError, match="random words are uint32 or uint64"):
        box_muller.radius_of_words(mg.ones(3))
    with pytest.raises(SpecError, match="a radius for words of uint32 is float32, not float64"):
        box_muller.point_of_words(mg.ones(3, dtype=mg.float64), word, word)
