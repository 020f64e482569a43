"""`python -m promptfolio`, the same as the command `promptfolio`."""

from promptfolio.cli import main

if __name__ == "__main__":
    main()
