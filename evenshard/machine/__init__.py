"""What is on this machine: libraries, graphics, and what commands have left behind."""
