"""What folders and names mean: splits, classes, parts of one set, masks beside pictures."""
