"""Features once, a head in seconds: a frozen backbone's outputs, kept beside the shards."""
