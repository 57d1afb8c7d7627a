"""The `keepbest` command."""
