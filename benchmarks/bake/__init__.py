"""How fast the bake is, what memory it takes, how it scales and what its splits leak."""
