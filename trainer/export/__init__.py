"""`python -m trainer.export`: writes a network as a file that serves without this package."""
