"""Writes cdr.json: messages of every type in msg/ and srv/ (and two of sensor_msgs), each as JSON
and as CDR made by rosbags, in both byte orders.

    python -m venv venv && venv/bin/pip install rosbags==0.11.9 numpy
    venv/bin/python tests/reference/cdr.py
"""

import json
import pathlib

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

ROOT = pathlib.Path(__file__).parents[2]
OUT = pathlib.Path(__file__).with_suffix(".json")
RNG = np.random.default_rng(11)
TEXTS = ["", "a", "camera", "Žofie 山田", "enough letters to need a while"]


def typestore():
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = {}
    for path in sorted((ROOT / "msg").glob("*.msg")):
        types |= get_types_from_msg(path.read_text(), f"rostro/msg/{path.stem}")
    for path in sorted((ROOT / "srv").glob("*.srv")):
        halves = path.read_text().split("---\n")
        for half, name in zip(halves, ("Request", "Response"), strict=True):
            types |= get_types_from_msg(half, f"rostro/msg/{path.stem}_{name}")
    store.register(types)
    return store, [*types, "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"]


def basic(name):
    if name == "string":
        return str(RNG.choice(TEXTS))
    if name == "bool":
        return bool(RNG.integers(2))
    if name.startswith("float"):
        # Numbers that 32 bits hold exactly, so that JSON does too.
        return float(RNG.integers(-4096, 4096)) / 32
    return int(RNG.integers(0, min(np.iinfo(name).max, 2**63 - 1)))


def sample(store, name):
    """A message with random fields, and the same as JSON."""
    fields, plain = {}, {}
    for field, (kind, value) in store.fielddefs[name][1]:
        if field == "nanosec":
            fields[field] = plain[field] = int(RNG.integers(0, 10**9))
        elif kind.name == "BASE":
            fields[field] = plain[field] = basic(value[0])
        elif kind.name == "NAME":
            fields[field], plain[field] = sample(store, value)
        else:
            (element, type_name), count = value
            length = count if kind.name == "ARRAY" else int(RNG.integers(0, 4))
            if element.name == "NAME":
                pairs = [sample(store, type_name) for _ in range(length)]
                fields[field], plain[field] = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            else:
                plain[field] = [basic(type_name[0]) for _ in range(length)]
                is_text = type_name[0] == "string"
                fields[field] = plain[field] if is_text else np.array(plain[field], dtype=type_name[0])
    return store.types[name](**fields), plain


def main():
    store, names = typestore()
    lines = []
    for name in names:
        for _ in range(3):
            message, plain = sample(store, name)
            little, big = (bytes(store.serialize_cdr(message, name, little_endian=le)) for le in (True, False))
            case = {"type": name, "value": plain, "little": little.hex(), "big": big.hex()}
            lines.append(json.dumps(case, ensure_ascii=False))
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{len(lines)} messages of {len(names)} types, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
