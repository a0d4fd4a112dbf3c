"""`python -m trainer.sweep`: a grid of trials on one bake, compared on one page."""
