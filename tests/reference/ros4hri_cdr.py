"""Writes ros4hri_cdr.json: messages of every type that is not this package's own, each as JSON and as
CDR made by rosbags from the official definitions, with the fields that those have.

    python -m venv venv && venv/bin/pip install rosbags==0.11.9 numpy
    venv/bin/python tests/reference/ros4hri_cdr.py CHECKOUTS

CHECKOUTS holds hri_msgs (branch humble-devel of ros4hri/hri_msgs), vision_msgs (branch ros2 of
ros-perception/vision_msgs, its folder vision_msgs) and foxglove_msgs (folder ros_foxglove_msgs/ros2 of
foxglove/schemas as its msg). The standard packages are those that rosbags has for Humble.
"""

import json
import pathlib
import sys

from cdr import sample
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

OUT = pathlib.Path(__file__).with_suffix(".json")
OURS = [
    "std_msgs/msg/Bool",
    "std_msgs/msg/Float32",
    "std_msgs/msg/String",
    "geometry_msgs/msg/TransformStamped",
    "geometry_msgs/msg/PoseStamped",
    "tf2_msgs/msg/TFMessage",
    "sensor_msgs/msg/CameraInfo",
    "hri_msgs/msg/IdsList",
    "hri_msgs/msg/IdsMatch",
    "hri_msgs/msg/NormalizedRegionOfInterest2D",
    "hri_msgs/msg/FacialLandmarks",
    "hri_msgs/msg/Expression",
    "hri_msgs/msg/EngagementLevel",
    "vision_msgs/msg/Detection2DArray",
    "foxglove_msgs/msg/ImageAnnotations",
]


def typestore(checkouts):
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = {}
    for package in ("hri_msgs", "vision_msgs", "foxglove_msgs"):
        for path in sorted((checkouts / package / "msg").glob("*.msg")):
            types |= get_types_from_msg(path.read_text(), f"{package}/msg/{path.stem}")
    store.register({name: fields for name, fields in types.items() if name not in store.fielddefs})
    return store


def text(field):
    """A field's type as definitions write it, without the package."""
    kind, value = field
    if kind.name == "BASE":
        return value[0]
    if kind.name == "NAME":
        return value.split("/")[-1]
    element, count = value
    return f"{text(element)}[{count if kind.name == 'ARRAY' else ''}]"


def contained(store, name, into):
    into[name] = [[text(field), key] for key, field in store.fielddefs[name][1]]
    for _, (kind, value) in store.fielddefs[name][1]:
        element = value[0] if kind.name in ("ARRAY", "SEQUENCE") else (kind, value)
        if element[0].name == "NAME":
            contained(store, element[1], into)
    return into


def constants(store):
    """The words of an expression and the places of a face that are used here."""
    words = [value for _, kind, value in store.fielddefs["hri_msgs/msg/Expression"][0] if kind == "string"]
    places = {name: value for name, _, value in store.fielddefs["hri_msgs/msg/FacialLandmarks"][0]}
    return {"expressions": words, "landmarks": places}


def main():
    store = typestore(pathlib.Path(sys.argv[1]))
    fields, cases = {}, []
    for name in OURS:
        contained(store, name, fields)
        for _ in range(2):
            message, plain = sample(store, name)
            little, big = (bytes(store.serialize_cdr(message, name, little_endian=le)) for le in (True, False))
            cases.append({"type": name, "value": plain, "little": little.hex(), "big": big.hex()})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    rest = {"fields": fields, "constants": constants(store)}
    text = f'{{"cases": [\n{lines}\n],\n"official": {json.dumps(rest)}}}\n'
    OUT.write_text(text, encoding="utf-8")
    print(f"{len(cases)} messages of {len(OURS)} types, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
