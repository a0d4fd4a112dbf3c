"""Worker processes, isolated from the process that drives the bake."""
