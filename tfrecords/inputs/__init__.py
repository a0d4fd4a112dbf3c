"""What people bring: folders, archives, tables and patterns of pictures, listed and read.

A bake and a prediction list their sources here, so that both read the same inputs.
"""
