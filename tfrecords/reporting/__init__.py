"""What every report shares: the page, the style of its figures, the grid of samples."""
