"""Lets Beam build a source distribution for its workers: `--setup_file=./setup.py`.

All metadata is in pyproject.toml.
"""

from setuptools import setup

setup()
