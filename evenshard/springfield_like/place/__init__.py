"""Where a citizen is: what is behind and in front, and the light."""
