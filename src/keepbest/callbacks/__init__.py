"""Lightning callbacks. They deliver events; the decisions live in `keepbest.stopping`."""
