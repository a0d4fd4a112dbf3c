"""`python -m trainer.train`: trains a network on a baked data set."""
