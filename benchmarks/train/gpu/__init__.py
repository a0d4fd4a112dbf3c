"""The training step and its input on a GPU, against Keras' fit and PyTorch."""
