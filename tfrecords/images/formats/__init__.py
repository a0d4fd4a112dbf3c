"""What the headers of picture files say, and the readers of kinds that Pillow lacks."""
