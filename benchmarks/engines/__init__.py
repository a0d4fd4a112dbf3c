"""One bake on every Beam engine at hand, compared byte by byte."""
