"""Runs competitors in turn, samples what they cost, and prints ratios against targets."""
