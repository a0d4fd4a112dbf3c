"""Draws a town of 42 cartoon citizens as a folder of very unequal classes.

The story's data set, of our own drawing: 20,933 pictures in 42 classes of 3 to 2,246, about
416 × 409 pixels on average and up to 1072 × 1912, mostly JPEG, with duplicates and broken
files among them. Every picture is a function of (seed, class, index).

    python -m evenshard.springfield_like --output_dir=town --scale=0.05
"""
