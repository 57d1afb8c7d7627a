"""What is looked at before an epoch is wasted."""
