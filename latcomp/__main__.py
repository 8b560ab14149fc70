"""`python -m latcomp` is the `latcomp` command."""

from latcomp.cli.main import run

if __name__ == "__main__":
    run()
