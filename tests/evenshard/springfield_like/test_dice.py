"""Seeded choices: in range, repeatable, independent of one another."""

from __future__ import annotations

import statistics

from evenshard.springfield_like.dice import Dice

# Recorded once: towns drawn elsewhere must come out the same.
RECORDED = [4, 3, 5, 1, 3, 5, 2, 3, 1, 4, 4, 5]


def test_the_same_names_give_the_same_choices():
    assert [Dice(0, "a", 1).between(0, 1) for _ in range(2)] == [Dice(0, "a", 1).between(0, 1)] * 2
    assert Dice(0, "a", 1).between(0, 1) != Dice(0, "a", 2).between(0, 1)


def test_a_known_sequence():
    dice = Dice(0, "baker_bruno", 7)
    assert [dice.whole(1, 6) for _ in range(12)] == RECORDED


def test_whole_reaches_both_ends():
    dice = Dice("ends")
    assert {dice.whole(1, 6) for _ in range(400)} == {1, 2, 3, 4, 5, 6}


def test_normal_has_its_mean_and_deviation():
    dice = Dice("normal")
    drawn = [dice.normal(10.0, 2.0) for _ in range(4_000)]
    assert abs(statistics.fmean(drawn) - 10.0) < 0.15
    assert abs(statistics.stdev(drawn) - 2.0) < 0.15
