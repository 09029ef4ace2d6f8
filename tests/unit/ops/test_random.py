"""Random numbers: their distributions, their reproduction, and their state."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

import minigrad as mg
from minigrad.errors import SpecError
from minigrad.ops import random_ops

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
    g = generator()
    draws = [g.uniform(100).numpy(), g.uniform(100).numpy()]
    draws += [mg.random.Generator(seed).uniform(100).numpy() for seed in (1, None, None)]
    draws += [part.uniform(100).numpy() for part in generator().split(3)]
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
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Any, message: str) -> None:
    g = generator()
    with pytest.raises(SpecError, match=message):
        draw(g)
    assert g.state.numpy()[2] == 0
