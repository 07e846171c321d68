"""Command line: `python -m rostro_emotion {train,…} --help`."""
import argparse

from . import train


def main():
    parser = argparse.ArgumentParser(prog="rostro_emotion", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for module, text in ((train, "train a net"),):
        p = commands.add_parser(module.__name__.split(".")[-1], help=text)
        module.add_arguments(p)
        p.set_defaults(run_command=module.main)
    a = parser.parse_args()
    a.run_command(a)


if __name__ == "__main__":
    main()
