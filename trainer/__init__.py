"""The trainer: shards to a trained network, its results and its report."""
