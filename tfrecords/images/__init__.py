"""Images: decode, normalise, resize, encode, and why a source gives none."""
