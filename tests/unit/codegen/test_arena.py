"""The plan of an arena: what lives at the same time is apart, and little is wasted."""

import random

import pytest

from minigrad.codegen.arena import LINE, Interval, offsets


def intervals(seed: int) -> list[Interval]:
    """Some values of random sizes and lives."""
    choose = random.Random(seed)
    found = []
    for _ in range(choose.randint(1, 40)):
        begin = choose.randrange(30)
        size = choose.choice((1, 4, 63, 64, 65, 1000, 4096, 100_000))
        found.append(Interval(size, begin, begin + choose.choice((0, 1, 2, 20))))
    return found


@pytest.mark.parametrize("seed", range(50))
def test_what_lives_at_the_same_time_does_not_overlap(seed: int) -> None:
    values = intervals(seed)
    starts, size = offsets(values)
    placed = list(zip(starts, values, strict=True))
    for k, (start, x) in enumerate(placed):
        assert start % LINE == 0 and start + x.size <= size
        for other, y in placed[:k]:
            together = x.begin <= y.end and y.begin <= x.end
            assert not together or start + x.size <= other or other + y.size <= start


@pytest.mark.parametrize("seed", range(50))
def test_no_more_is_taken_than_all_values_together(seed: int) -> None:
    values = intervals(seed)
    total = sum(-(-x.size // LINE) * LINE for x in values)
    needed = max(
        sum(-(-x.size // LINE) * LINE for x in values if x.begin <= t <= x.end) for t in range(50)
    )
    assert needed <= offsets(values)[1] <= min(total, 2 * needed)


def test_a_chain_takes_turns_in_two_places() -> None:
    chain = [Interval(1000, k, k + 1) for k in range(20)]
    assert offsets(chain)[1] == 2 * 1024


def test_no_values_need_no_arena() -> None:
    assert offsets([]) == ([], 0)
