"""`python -m trainer.benchmark`: finds the bottleneck of training on this machine."""
