"""From a manifest to batches of pixels: select, stream, augment."""
