"""Trains image classifiers on baked data sets; evaluates, explains and exports them."""
