"""Carries TensorFlow with CUDA to a machine that has a GPU and no network."""
