"""`python -m trainer.benchmark`: what holds training up on this machine."""
