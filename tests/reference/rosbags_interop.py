"""Bags seen with other people's eyes: PyPI's rosbags and mcap-ros2-support.

    rosbags_interop.py read FOLDER         people.mcap in FOLDER, read by both, equals people.jsonl
    rosbags_interop.py write FOLDER JPEG STORAGE COMPRESSION
                                           writes a rosbag2 bag of raw images and that picture there;
                                           mcap or sqlite3, none, file, message or storage
"""

import json
import sys
from pathlib import Path

import numpy as np
from mcap_ros2.reader import read_ros2_messages
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

STATES = ["unknown", "pending", "ambiguous", "anonymous", "known", "named"]
LABELS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]


def nanos(stamp):
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def compare(line, message):
    """One line of people.jsonl with the message of the same frame; four decimals are kept there."""

    def equal(what, written, read):
        close = np.allclose(np.asarray(written, float), np.asarray(read, float), rtol=0, atol=6e-5)
        assert close, f"{what}: {written} in people.jsonl, {read} in people.mcap"

    assert nanos(message.header.stamp) == line["stamp"]
    assert (message.camera, message.width, message.height) == (line["camera"], line["width"], line["height"])
    assert len(message.people) == len(line["people"])
    for written, read in zip(line["people"], message.people):
        for key in ("face_id", "person_id", "name", "observed"):
            assert written[key] == getattr(read, key), key
        assert written["identity_state"] == STATES[read.identity_state]
        for key in ("identity_confidence", "identity_similarity", "score", "box"):
            equal(key, written[key], getattr(read, key))
        equal("landmarks", np.ravel(written["landmarks"]), read.landmarks)
        equal("track_age", written["track_age_secs"], read.track_age)
        emotion = written["emotion"]
        assert emotion["valid"] == read.emotion_valid
        if emotion["valid"]:
            assert emotion["label"] == LABELS[read.emotion]
            equal("emotion_confidence", emotion["confidence"], read.emotion_confidence)
            equal("probabilities", [emotion["probabilities"][label] for label in LABELS], read.emotion_probabilities)
        else:
            assert np.isnan(np.asarray(read.emotion_probabilities, float)).all()


def check_humans(messages, lines):
    """What ROS4HRI's clients and Foxglove read, against people.jsonl: nothing when the mode is aggregate."""
    of = lambda topic: [message for name, _, message in messages if name == topic]
    lists = of("/humans/faces/tracked")
    assert len(lists) in (0, len(lines))
    for line, message in zip(lines, lists):
        assert sorted(message.ids) == sorted({person["face_id"] for person in line["people"]})
    for line, message in zip(lines, of("/rostro/detections"), strict=True):
        seen = [person for person in line["people"] if person["observed"]]
        assert [person["face_id"] for person in seen] == [detection.id for detection in message.detections]
        for person, detection in zip(seen, message.detections):
            x1, y1, x2, y2 = person["box"]
            box = detection.bbox
            found = [box.center.position.x, box.center.position.y, box.size_x, box.size_y]
            assert np.allclose(found, [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], atol=2e-4)
    drawn = [message for name, _, message in messages if name.startswith("/rostro/annotations")]
    assert [len(message.texts) for message in drawn] == [len(line["people"]) for line in lines]
    if not lists:
        return
    for topic, _, message in messages:
        if topic.endswith("/roi"):
            assert 0 <= message.xmin <= message.xmax <= 1 and 0 <= message.ymin <= message.ymax <= 1
        if topic.endswith("/landmarks"):
            assert len(message.landmarks) == 70
        if topic.endswith(("/cropped", "/aligned")):
            assert (message.encoding, message.width, len(message.data)) == ("bgr8", 128, 128 * 128 * 3)
    places = [t.child_frame_id for message in of("/tf") for t in message.transforms]
    posed = [person for line in lines for person in line["people"] if person["pose"]]
    # A face that two cameras see at once has one place.
    assert 0 < sum(place.startswith("face_") for place in places) <= len(posed)


def check_all(reader, messages, lines):
    people = [message for topic, _, message in messages if topic == "/rostro/people"]
    events = [message for topic, _, message in messages if topic == "/rostro/events"]
    pictures = [message for topic, _, message in messages if topic.startswith("/rostro/annotated")]
    assert len(people) == len(lines), f"{reader}: {len(people)} messages, {len(lines)} lines"
    for line, message in zip(lines, people):
        compare(line, message)
    for topic, time, message in messages:
        if hasattr(message, "header"):
            assert time == nanos(message.header.stamp), f"{reader}: {topic} is logged at another time than its stamp"
    check_humans(messages, lines)
    named = {(person["face_id"], person["name"]) for line in lines for person in line["people"]}
    for event in events:
        assert event.type in range(13) and (event.face_id, event.name) in named, event
    for picture in pictures:
        data = bytes(picture.data)
        assert picture.format == "jpeg" and data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"
    lists = sum(topic == "/humans/faces/tracked" for topic, _, _ in messages)
    return {"people": len(people), "events": len(events), "pictures": len(pictures), "lists of faces": lists}


def read(folder):
    lines = [json.loads(line) for line in (folder / "people.jsonl").read_text().splitlines()]
    found = {}

    messages = [
        (each.channel.topic, each.log_time_ns, each.ros_msg) for each in read_ros2_messages(folder / "people.mcap")
    ]
    found["mcap-ros2-support"] = check_all("mcap-ros2-support", messages, lines)

    with Reader(folder) as bag:
        types = get_typestore(Stores.ROS2_HUMBLE)
        for connection in bag.connections:
            if connection.msgtype.startswith(("rostro/", "hri_msgs/", "vision_msgs/", "foxglove_msgs/")):
                types.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        messages = [
            (connection.topic, time, types.deserialize_cdr(data, connection.msgtype))
            for connection, time, data in bag.messages()
        ]
        assert bag.message_count == len(messages), f"metadata.yaml counts {bag.message_count}, there are {len(messages)}"
    found["rosbags"] = check_all("rosbags", messages, lines)
    print(json.dumps(found))


def write(folder, jpeg, storage, compression):
    types = get_typestore(Stores.ROS2_HUMBLE)
    of = lambda name: types.types[name]
    Time, Header = of("builtin_interfaces/msg/Time"), of("std_msgs/msg/Header")
    Image, CompressedImage = of("sensor_msgs/msg/Image"), of("sensor_msgs/msg/CompressedImage")
    bag = Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()])
    bag.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with bag:
        raw = bag.add_connection("/head/image_raw", Image.__msgtype__, typestore=types)
        packed = bag.add_connection("/hand/image_raw/compressed", CompressedImage.__msgtype__, typestore=types)
        for n in range(10):
            stamp = 1_700_000_000_000_000_000 + n * 50_000_000
            header = Header(Time(stamp // 1_000_000_000, stamp % 1_000_000_000), "eye")
            pixels = np.full(48 * 40 * 3, n, np.uint8)
            message = Image(header, 40, 48, "rgb8", 0, 48 * 3, pixels)
            bag.write(raw, stamp, types.serialize_cdr(message, Image.__msgtype__))
            message = CompressedImage(header, "jpeg", np.frombuffer(jpeg, np.uint8))
            bag.write(packed, stamp + 1, types.serialize_cdr(message, CompressedImage.__msgtype__))


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "read":
        read(folder)
    else:
        write(folder, Path(sys.argv[3]).read_bytes(), *sys.argv[4:])
