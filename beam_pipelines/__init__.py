"""The bake: pictures in class folders to balanced TFRecord shards, on Apache Beam.

Importing this package imports nothing heavy; only `pipeline` and `prepare` import Beam.
"""
