"""Sweeps: jobs that see the same training train once, and each has its own result."""
