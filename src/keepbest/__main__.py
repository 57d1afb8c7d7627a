"""`python -m keepbest`."""

import sys

from keepbest.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
