"""The run directory: configuration, history, checkpoints, TensorBoard events."""
