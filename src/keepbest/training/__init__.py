"""One job directory, from config to verified result."""
