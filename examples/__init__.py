"""Things to run: data of our own making to try the product on."""
