"""Command line: `python -m rostro_emotion {train,export,curves,quantise} --help`."""
import argparse

from . import curves, export, quantise, train


def main():
    parser = argparse.ArgumentParser(prog="rostro_emotion", description=__doc__)
    commands = parser.add_subparsers(required=True)
    verbs = (
        (train, "train a net"),
        (export, "calibrate and write the ONNX file"),
        (curves, "the learning curve as a picture"),
        (quantise, "a static INT8 variant, measured"),
    )
    for module, text in verbs:
        p = commands.add_parser(module.__name__.split(".")[-1], help=text)
        module.add_arguments(p)
        p.set_defaults(command=module.main)
    a = parser.parse_args()
    a.command(a)


if __name__ == "__main__":
    main()
