"""`python -m trainer.train`: shards in, a trained network and its report out."""
