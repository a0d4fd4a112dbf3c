"""`python -m trainer.export`: a run's network as a file that serves without this package."""
