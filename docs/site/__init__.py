"""What the documentation site makes of the code: reference pages, the front page, the notebook."""
