"""`python -m promptfolio`, the same as the command `promptfolio`."""

import sys

from promptfolio.cli import main

if __name__ == "__main__":
    sys.exit(main())
