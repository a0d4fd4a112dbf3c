"""What ours is measured against, each a program that the harness starts as a process."""
