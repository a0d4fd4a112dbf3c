"""--recipe: what the recipes of a training are, and which of them a data set should have."""
