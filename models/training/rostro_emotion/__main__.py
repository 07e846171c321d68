"""Command line: `python -m rostro_emotion {train,export} --help`."""
import argparse

from . import export, train


def main():
    parser = argparse.ArgumentParser(prog="rostro_emotion", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for module, text in ((train, "train a net"), (export, "calibrate and write the ONNX file")):
        p = commands.add_parser(module.__name__.split(".")[-1], help=text)
        module.add_arguments(p)
        p.set_defaults(command=module.main)
    a = parser.parse_args()
    a.command(a)


if __name__ == "__main__":
    main()
