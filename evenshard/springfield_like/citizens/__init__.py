"""The citizens: who they are, how they stand, and the parts that they are drawn of."""
