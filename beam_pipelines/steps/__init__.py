"""The steps of a bake that run in workers: each takes a task and returns its result."""
