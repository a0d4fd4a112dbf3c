"""Helpers of the tests, in rooms by subject.

pictures: files written byte by byte; inputs: archives and a bucket; bakes: configurations and facts
of a bake; datasets: small ones on disk, their ledgers, damage to them; networks: tiny and odd ones;
runs: configured, faked or trained; processes: what tests start. `tiers` tells fast tests.
"""
