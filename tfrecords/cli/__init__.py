"""What every command shares: flags from dataclasses, exit codes, progress."""
