"""A data set as `tf.data.Dataset` or `torch.utils.data.IterableDataset`."""
