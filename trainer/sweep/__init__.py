"""`python -m trainer.sweep`: trains a grid of trials on one bake and compares them."""
