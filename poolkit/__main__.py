"""`python -m poolkit` is the `poolkit` command."""

from poolkit.cli import main

if __name__ == "__main__":
    main()
