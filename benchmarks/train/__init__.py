"""How fast the trainer reads and steps, and what fits a GPU's memory."""
