"""What notebooks use: runs that are opened from their directory, wherever it was moved to."""
