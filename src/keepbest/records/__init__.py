"""What a run leaves on disk as plain data: its record, its table of metrics, and how both are written."""
