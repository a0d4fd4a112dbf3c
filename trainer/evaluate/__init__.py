"""`python -m trainer.evaluate`: evaluates a run on a split that it was not trained on."""
