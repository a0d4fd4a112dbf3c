"""Kills, damages, full disks and hostile files, by seed: `python -m tests.torture`."""
