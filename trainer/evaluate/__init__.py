"""`python -m trainer.evaluate`: a run judged on a split it has not seen."""
