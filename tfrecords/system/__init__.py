"""The machine: cores, memory, atomic files, locks."""
