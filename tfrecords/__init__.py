"""The contract on disk: records, shards, manifest and the pixels they hold.

Standard library, numpy, Pillow, protobuf and google-crc32c only: neither Beam nor TensorFlow.
"""

__version__ = "0.1.0"
