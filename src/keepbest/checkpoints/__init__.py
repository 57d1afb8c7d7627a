"""Checkpoints: written durably, hashed while they are written, read without executing anything."""
