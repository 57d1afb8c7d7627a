"""Pictures and pages of runs, and what the terminal shows."""
