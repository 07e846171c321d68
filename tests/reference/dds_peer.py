"""A DDS peer that knows nothing of rostro's code: PyPI's cyclonedds, with IDL types written here by
hand from the .msg and .srv files. It publishes camera images, listens and calls as ROS 2 nodes do.

    dds_peer.py DOMAIN

Commands come as JSON lines on stdin, each is answered by one JSON line on stdout:

    {"do": "listen", "topic": "/rostro/people", "type": "People"}     collects what comes
    {"do": "take", "topic": "/rostro/people"}                        what came since
    {"do": "publish", "topic": "/left/image", "frames": FOLDER, "hz": 15, "count": 45, ...}
                                          FOLDER has 00000.json (width, height, encoding) and
                                          00000.bin, or 00000.jpg alone; goes on by itself
    {"do": "published", "topic": "/left/image"}                      what was sent, waits for its end
    {"do": "garbage", "topic": "/left/image", "type": "Image", "count": 20}   bytes that are no image
    {"do": "call", "service": "/rostro/set_name", "type": "SetName", "request": {...}, "timeout": 5}
    {"do": "clock", "from": 0.0, "to": 10.0, "hz": 100, "speed": 1.0}  /clock, in seconds
    {"do": "offers", "topic": "/rostro/people"}                      QoS of others' publishers
    {"do": "advertise", "topic": "/humans/faces/tracked", "type": "IdsList"}   a publisher that says nothing

"publish" takes "info": {"topic": ..., "k": [...]}: a camera_info with each image.
"""

import dataclasses
import json
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault(
    "CYCLONEDDS_URI",
    "<CycloneDDS><Domain Id='any'><General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize><FragmentSize>65000B</FragmentSize>"
    "</General><Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>20</MaxAutoParticipantIndex>"
    "<Peers><Peer address='127.0.0.1'/></Peers></Discovery>"
    "<Internal><SocketReceiveBufferSize min='4MB'/></Internal></Domain></CycloneDDS>",
)

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication  # noqa: E402
from cyclonedds.core import Policy, Qos  # noqa: E402
from cyclonedds.domain import DomainParticipant  # noqa: E402
from cyclonedds.idl import IdlStruct  # noqa: E402
from cyclonedds.idl.annotations import final  # noqa: E402
from cyclonedds.idl.types import array, float32, float64, int8, int32, int64, sequence, uint8, uint16, uint32, uint64  # noqa: E402
from cyclonedds.pub import DataWriter  # noqa: E402
from cyclonedds.sub import DataReader  # noqa: E402
from cyclonedds.topic import Topic  # noqa: E402
from cyclonedds.util import duration  # noqa: E402


@dataclass
@final
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32 = 0
    nanosec: uint32 = 0


@dataclass
@final
class Duration(IdlStruct, typename="builtin_interfaces::msg::dds_::Duration_"):
    sec: int32 = 0
    nanosec: uint32 = 0


@dataclass
@final
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time = field(default_factory=Time)
    frame_id: str = ""


@dataclass
@final
class Image(IdlStruct, typename="sensor_msgs::msg::dds_::Image_"):
    header: Header = field(default_factory=Header)
    height: uint32 = 0
    width: uint32 = 0
    encoding: str = ""
    is_bigendian: uint8 = 0
    step: uint32 = 0
    data: sequence[uint8] = field(default_factory=list)


@dataclass
@final
class CompressedImage(IdlStruct, typename="sensor_msgs::msg::dds_::CompressedImage_"):
    header: Header = field(default_factory=Header)
    format: str = ""
    data: sequence[uint8] = field(default_factory=list)


@dataclass
@final
class Clock(IdlStruct, typename="rosgraph_msgs::msg::dds_::Clock_"):
    clock: Time = field(default_factory=Time)


@dataclass
@final
class KeyValue(IdlStruct, typename="diagnostic_msgs::msg::dds_::KeyValue_"):
    key: str
    value: str


@dataclass
@final
class DiagnosticStatus(IdlStruct, typename="diagnostic_msgs::msg::dds_::DiagnosticStatus_"):
    level: uint8
    name: str
    message: str
    hardware_id: str
    values: sequence[KeyValue]


@dataclass
@final
class DiagnosticArray(IdlStruct, typename="diagnostic_msgs::msg::dds_::DiagnosticArray_"):
    header: Header
    status: sequence[DiagnosticStatus]


@dataclass
@final
class Point(IdlStruct, typename="geometry_msgs::msg::dds_::Point_"):
    x: float64
    y: float64
    z: float64


@dataclass
@final
class Quaternion(IdlStruct, typename="geometry_msgs::msg::dds_::Quaternion_"):
    x: float64
    y: float64
    z: float64
    w: float64


@dataclass
@final
class Pose(IdlStruct, typename="geometry_msgs::msg::dds_::Pose_"):
    position: Point
    orientation: Quaternion


@dataclass
@final
class Person(IdlStruct, typename="rostro::msg::dds_::Person_"):
    face_id: str
    person_id: str
    name: str
    identity_state: uint8
    identity_confidence: float32
    identity_similarity: float32
    identity_margin: float32
    box: array[float32, 4]
    score: float32
    landmarks: array[float32, 10]
    quality: float32
    observed: bool
    track_age: float32
    emotion_valid: bool
    emotion_uncertain: bool
    emotion: uint8
    emotion_confidence: float32
    emotion_probabilities: array[float32, 8]
    emotion_probabilities_raw: array[float32, 8]
    valence: float32
    arousal: float32
    pose_valid: bool
    pose: Pose
    distance: float32
    attention: float32


@dataclass
@final
class People(IdlStruct, typename="rostro::msg::dds_::People_"):
    header: Header
    camera: str
    width: uint32
    height: uint32
    frame_seq: uint64
    displaced: uint32
    latency: Duration
    people: sequence[Person]


@dataclass
@final
class PersonEvent(IdlStruct, typename="rostro::msg::dds_::PersonEvent_"):
    header: Header
    type: uint8
    camera: str
    face_id: str
    person_id: str
    other_person_id: str
    name: str
    detail: str
    confidence: float32
    absent_for: float32


@dataclass
@final
class PersonRecord(IdlStruct, typename="rostro::msg::dds_::PersonRecord_"):
    person_id: str
    name: str
    first_seen: Time
    last_seen: Time
    encounters: uint32
    references: uint32
    aliases: sequence[str]
    consent: bool
    expires: Time


@dataclass
@final
class KnownPeople(IdlStruct, typename="rostro::msg::dds_::KnownPeople_"):
    header: Header
    people: sequence[PersonRecord]


@dataclass
@final
class RegionOfInterest(IdlStruct, typename="sensor_msgs::msg::dds_::RegionOfInterest_"):
    x_offset: uint32 = 0
    y_offset: uint32 = 0
    height: uint32 = 0
    width: uint32 = 0
    do_rectify: bool = False


@dataclass
@final
class CameraInfo(IdlStruct, typename="sensor_msgs::msg::dds_::CameraInfo_"):
    header: Header = field(default_factory=Header)
    height: uint32 = 0
    width: uint32 = 0
    distortion_model: str = "plumb_bob"
    d: sequence[float64] = field(default_factory=lambda: [0.0] * 5)
    k: array[float64, 9] = field(default_factory=lambda: [0.0] * 9)
    r: array[float64, 9] = field(default_factory=lambda: [0.0] * 9)
    p: array[float64, 12] = field(default_factory=lambda: [0.0] * 12)
    binning_x: uint32 = 0
    binning_y: uint32 = 0
    roi: RegionOfInterest = field(default_factory=RegionOfInterest)


@dataclass
@final
class Text(IdlStruct, typename="std_msgs::msg::dds_::String_"):
    data: str


@dataclass
@final
class Bool(IdlStruct, typename="std_msgs::msg::dds_::Bool_"):
    data: bool


@dataclass
@final
class Float32(IdlStruct, typename="std_msgs::msg::dds_::Float32_"):
    data: float32


@dataclass
@final
class Vector3(IdlStruct, typename="geometry_msgs::msg::dds_::Vector3_"):
    x: float64
    y: float64
    z: float64


@dataclass
@final
class Transform(IdlStruct, typename="geometry_msgs::msg::dds_::Transform_"):
    translation: Vector3
    rotation: Quaternion


@dataclass
@final
class TransformStamped(IdlStruct, typename="geometry_msgs::msg::dds_::TransformStamped_"):
    header: Header
    child_frame_id: str
    transform: Transform


@dataclass
@final
class TFMessage(IdlStruct, typename="tf2_msgs::msg::dds_::TFMessage_"):
    transforms: sequence[TransformStamped]


@dataclass
@final
class IdsList(IdlStruct, typename="hri_msgs::msg::dds_::IdsList_"):
    header: Header
    ids: sequence[str]


@dataclass
@final
class IdsMatch(IdlStruct, typename="hri_msgs::msg::dds_::IdsMatch_"):
    id1: str
    id1_type: int8
    id2: str
    id2_type: int8
    confidence: float32


@dataclass
@final
class NormalizedRegionOfInterest2D(IdlStruct, typename="hri_msgs::msg::dds_::NormalizedRegionOfInterest2D_"):
    header: Header
    xmin: float32
    ymin: float32
    xmax: float32
    ymax: float32
    c: float32


@dataclass
@final
class NormalizedPointOfInterest2D(IdlStruct, typename="hri_msgs::msg::dds_::NormalizedPointOfInterest2D_"):
    x: float32
    y: float32
    c: float32


@dataclass
@final
class FacialLandmarks(IdlStruct, typename="hri_msgs::msg::dds_::FacialLandmarks_"):
    header: Header
    landmarks: array[NormalizedPointOfInterest2D, 70]
    height: uint32
    width: uint32


# Services. rmw_cyclonedds puts the caller's id and a running number before request and answer; a
# type's name must stand in its class statement, or cyclonedds drops the part before it.


@dataclass
@final
class EnrolRequest(IdlStruct, typename="rostro::srv::dds_::Enrol_Request_"):
    guid: uint64
    seq: int64
    face_id: str = ""
    person_id: str = ""
    name: str = ""
    min_samples: uint16 = 0
    timeout: float32 = 0.0
    consent: bool = False
    force: bool = False


@dataclass
@final
class EnrolResponse(IdlStruct, typename="rostro::srv::dds_::Enrol_Response_"):
    guid: uint64
    seq: int64
    success: bool
    person_id: str
    possible_duplicate_of: str
    message: str


@dataclass
@final
class SetNameRequest(IdlStruct, typename="rostro::srv::dds_::SetName_Request_"):
    guid: uint64
    seq: int64
    person_id: str = ""
    name: str = ""


@dataclass
@final
class SetNameResponse(IdlStruct, typename="rostro::srv::dds_::SetName_Response_"):
    guid: uint64
    seq: int64
    success: bool
    message: str


@dataclass
@final
class MergeRequest(IdlStruct, typename="rostro::srv::dds_::Merge_Request_"):
    guid: uint64
    seq: int64
    keep: str = ""
    absorb: str = ""


@dataclass
@final
class MergeResponse(IdlStruct, typename="rostro::srv::dds_::Merge_Response_"):
    guid: uint64
    seq: int64
    success: bool
    message: str


@dataclass
@final
class ForgetRequest(IdlStruct, typename="rostro::srv::dds_::Forget_Request_"):
    guid: uint64
    seq: int64
    person_id: str = ""


@dataclass
@final
class ForgetResponse(IdlStruct, typename="rostro::srv::dds_::Forget_Response_"):
    guid: uint64
    seq: int64
    success: bool
    removed: sequence[str]
    message: str


@dataclass
@final
class ListPeopleRequest(IdlStruct, typename="rostro::srv::dds_::ListPeople_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class ListPeopleResponse(IdlStruct, typename="rostro::srv::dds_::ListPeople_Response_"):
    guid: uint64
    seq: int64
    people: sequence[PersonRecord]


@dataclass
@final
class ExportPersonRequest(IdlStruct, typename="rostro::srv::dds_::ExportPerson_Request_"):
    guid: uint64
    seq: int64
    person_id: str = ""


@dataclass
@final
class ExportPersonResponse(IdlStruct, typename="rostro::srv::dds_::ExportPerson_Response_"):
    guid: uint64
    seq: int64
    success: bool
    json: str
    message: str


@dataclass
@final
class IdentifyRequest(IdlStruct, typename="rostro::srv::dds_::Identify_Request_"):
    guid: uint64
    seq: int64
    image: Image = field(default_factory=Image)


@dataclass
@final
class IdentifyResponse(IdlStruct, typename="rostro::srv::dds_::Identify_Response_"):
    guid: uint64
    seq: int64
    people: sequence[Person]
    message: str


@dataclass
@final
class SetBoolRequest(IdlStruct, typename="std_srvs::srv::dds_::SetBool_Request_"):
    guid: uint64
    seq: int64
    data: bool = False


@dataclass
@final
class SetBoolResponse(IdlStruct, typename="std_srvs::srv::dds_::SetBool_Response_"):
    guid: uint64
    seq: int64
    success: bool
    message: str


@dataclass
@final
class EmptyRequest(IdlStruct, typename="std_srvs::srv::dds_::Empty_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class EmptyResponse(IdlStruct, typename="std_srvs::srv::dds_::Empty_Response_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8


@dataclass
@final
class TriggerRequest(IdlStruct, typename="std_srvs::srv::dds_::Trigger_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class TriggerResponse(IdlStruct, typename="std_srvs::srv::dds_::Trigger_Response_"):
    guid: uint64
    seq: int64
    success: bool
    message: str


# Parameters and lifecycle, as every managed node of ROS 2 serves them.


@dataclass
@final
class ParameterValue(IdlStruct, typename="rcl_interfaces::msg::dds_::ParameterValue_"):
    type: uint8
    bool_value: bool = False
    integer_value: int64 = 0
    double_value: float64 = 0.0
    string_value: str = ""
    byte_array_value: sequence[uint8] = field(default_factory=list)
    bool_array_value: sequence[bool] = field(default_factory=list)
    integer_array_value: sequence[int64] = field(default_factory=list)
    double_array_value: sequence[float64] = field(default_factory=list)
    string_array_value: sequence[str] = field(default_factory=list)


@dataclass
@final
class Parameter(IdlStruct, typename="rcl_interfaces::msg::dds_::Parameter_"):
    name: str
    value: ParameterValue


@dataclass
@final
class SetParametersResult(IdlStruct, typename="rcl_interfaces::msg::dds_::SetParametersResult_"):
    successful: bool
    reason: str


@dataclass
@final
class SetParametersRequest(IdlStruct, typename="rcl_interfaces::srv::dds_::SetParameters_Request_"):
    guid: uint64
    seq: int64
    parameters: sequence[Parameter] = field(default_factory=list)


@dataclass
@final
class SetParametersResponse(IdlStruct, typename="rcl_interfaces::srv::dds_::SetParameters_Response_"):
    guid: uint64
    seq: int64
    results: sequence[SetParametersResult]


@dataclass
@final
class State(IdlStruct, typename="lifecycle_msgs::msg::dds_::State_"):
    id: uint8
    label: str


@dataclass
@final
class Transition(IdlStruct, typename="lifecycle_msgs::msg::dds_::Transition_"):
    id: uint8
    label: str


@dataclass
@final
class TransitionDescription(IdlStruct, typename="lifecycle_msgs::msg::dds_::TransitionDescription_"):
    transition: Transition
    start_state: State
    goal_state: State


@dataclass
@final
class TransitionEvent(IdlStruct, typename="lifecycle_msgs::msg::dds_::TransitionEvent_"):
    timestamp: uint64
    transition: Transition
    start_state: State
    goal_state: State


@dataclass
@final
class ChangeStateRequest(IdlStruct, typename="lifecycle_msgs::srv::dds_::ChangeState_Request_"):
    guid: uint64
    seq: int64
    transition: Transition


@dataclass
@final
class ChangeStateResponse(IdlStruct, typename="lifecycle_msgs::srv::dds_::ChangeState_Response_"):
    guid: uint64
    seq: int64
    success: bool


@dataclass
@final
class GetStateRequest(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetState_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class GetStateResponse(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetState_Response_"):
    guid: uint64
    seq: int64
    current_state: State


@dataclass
@final
class GetAvailableStatesRequest(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetAvailableStates_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class GetAvailableStatesResponse(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetAvailableStates_Response_"):
    guid: uint64
    seq: int64
    available_states: sequence[State]


@dataclass
@final
class GetAvailableTransitionsRequest(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetAvailableTransitions_Request_"):
    guid: uint64
    seq: int64
    structure_needs_at_least_one_member: uint8 = 0


@dataclass
@final
class GetAvailableTransitionsResponse(IdlStruct, typename="lifecycle_msgs::srv::dds_::GetAvailableTransitions_Response_"):
    guid: uint64
    seq: int64
    available_transitions: sequence[TransitionDescription]


# What is on a topic in place of an image: the type's name is right, the fields are not.


@dataclass
@final
class GarbageImage(IdlStruct, typename="sensor_msgs::msg::dds_::Image_"):
    noise: array[uint8, 64]


@dataclass
@final
class GarbageCompressedImage(IdlStruct, typename="sensor_msgs::msg::dds_::CompressedImage_"):
    noise: array[uint8, 64]


@dataclass
@final
class GarbageSetNameRequest(IdlStruct, typename="rostro::srv::dds_::SetName_Request_"):
    guid: uint64
    seq: int64
    noise: array[uint8, 64]


MESSAGES = {
    kind.__name__: kind
    for kind in (
        Image, CompressedImage, People, PersonEvent, KnownPeople, DiagnosticArray, Clock, TransitionEvent, Text, Bool, Float32,
        TFMessage, IdsList, IdsMatch, NormalizedRegionOfInterest2D, FacialLandmarks,
    )
}
GARBAGE = {"Image": GarbageImage, "CompressedImage": GarbageCompressedImage}
SERVICES = {
    name: (globals()[name + "Request"], globals()[name + "Response"])
    for name in (
        "Enrol", "SetName", "Merge", "Forget", "ListPeople", "ExportPerson", "Identify", "SetBool", "Empty", "Trigger",
        "SetParameters", "ChangeState", "GetState", "GetAvailableStates", "GetAvailableTransitions",
    )
}


def qos(reliable=True, latched=False, depth=10):
    return Qos(
        Policy.Reliability.Reliable(duration(milliseconds=100)) if reliable else Policy.Reliability.BestEffort,
        Policy.Durability.TransientLocal if latched else Policy.Durability.Volatile,
        Policy.History.KeepLast(depth),
        Policy.DataRepresentation(use_cdrv0_representation=True),
    )


def ros_time(nanos):
    return Time(sec=nanos // 1_000_000_000, nanosec=nanos % 1_000_000_000)


def plain(value):
    """Dataclasses as JSON; NaN becomes null, as JSON has none, and of pixels only their number is told."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)) and len(value) > 10_000:
        return len(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, float) and value != value:
        return None
    return value


class Listener(threading.Thread):
    """Collects what comes on a topic, each with the time it came."""

    def __init__(self, participant, topic, kind, reliable, latched, depth):
        super().__init__(daemon=True)
        terms = qos(reliable, latched, depth)
        self.reader = DataReader(participant, Topic(participant, "rt" + topic, MESSAGES[kind], qos=terms), qos=terms)
        self.lock, self.came = threading.Lock(), []
        self.start()

    def run(self):
        while True:
            found = self.reader.take(N=100)
            now = time.time_ns()
            if found:
                # What is no message says that its publisher has gone.
                messages = [plain(m) for m in found if isinstance(m, IdlStruct)]
                with self.lock:
                    self.came += [dict(message, _came=now) for message in messages]
            else:
                time.sleep(0.001)

    def take(self):
        with self.lock:
            came, self.came = self.came, []
        return came


# Longest wait for the other side to be known; a machine that builds beside the tests is slow.
DISCOVERY_SECS = 60


class Frames(threading.Thread):
    """Publishes the pictures of a folder over and over, stamped with the time they are sent."""

    def __init__(self, participant, command):
        super().__init__(daemon=True)
        self.command = command
        files = sorted(Path(command["frames"]).glob("*.jpg")) or sorted(Path(command["frames"]).glob("*.bin"))
        self.compressed = files[0].suffix == ".jpg"
        self.pictures = [self.load(file) for file in files]
        kind = CompressedImage if self.compressed else Image
        # A few images are kept until everybody has them; of a stream, the last ones.
        depth = command["count"] if command["count"] <= 64 else 5
        terms = qos(command.get("reliable", True), False, depth)
        self.writer = DataWriter(participant, Topic(participant, "rt" + command["topic"], kind, qos=terms), qos=terms)
        self.info = None
        if "info" in command:
            topic = Topic(participant, "rt" + command["info"]["topic"], CameraInfo, qos=terms)
            self.info = DataWriter(participant, topic, qos=terms)
        self.sent = []
        self.start()

    def calibrate(self, picture):
        info = CameraInfo(header=picture.header, k=self.command["info"]["k"])
        # A calibration for images of any size leaves theirs out.
        self.info.write(info)

    def load(self, file):
        if self.compressed:
            return CompressedImage(format="jpeg", data=file.read_bytes())
        about = json.loads(file.with_suffix(".json").read_text())
        step = about["step"]
        return Image(height=about["height"], width=about["width"], encoding=about["encoding"], step=step, data=file.read_bytes())

    def run(self):
        command = self.command
        end = time.time() + command.get("wait", DISCOVERY_SECS)
        while not self.writer.get_matched_subscriptions() and time.time() < end:
            time.sleep(0.01)
        time.sleep(command.get("delay", 0.0))
        start = time.time()
        for number in range(command["count"]):
            time.sleep(max(0.0, start + number / command["hz"] - time.time()))
            picture = self.pictures[number % len(self.pictures)]
            # Simulated time: stamps of their own, at the same rate.
            base = command.get("stamp_from")
            nanos = time.time_ns() if base is None else int((base + number / command["hz"]) * 1e9)
            picture.header = Header(stamp=ros_time(nanos), frame_id=command.get("frame_id", "eye"))
            if self.info:
                self.calibrate(picture)
            self.writer.write(picture)
            self.sent.append({"stamp": nanos, "picture": number % len(self.pictures)})


class Client:
    """Calls one service."""

    def __init__(self, participant, service, kind, request=None):
        own_request, response = SERVICES[kind]
        self.request = request or own_request
        terms = qos()
        self.writer = DataWriter(participant, Topic(participant, f"rq{service}Request", self.request, qos=terms), qos=terms)
        self.reader = DataReader(participant, Topic(participant, f"rr{service}Reply", response, qos=terms), qos=terms)
        self.guid, self.seq = random.getrandbits(63), 0

    def wait(self, timeout):
        end = time.time() + timeout
        while not (self.writer.get_matched_subscriptions() and self.reader.get_matched_publications()):
            if time.time() > end:
                return False
            time.sleep(0.01)
        return True

    def send(self, **fields):
        self.seq += 1
        self.writer.write(self.request(guid=self.guid, seq=self.seq, **fields))

    def answer(self, timeout):
        end = time.time() + timeout
        while time.time() < end:
            for found in self.reader.take(N=10):
                if isinstance(found, IdlStruct) and (found.guid, found.seq) == (self.guid, self.seq):
                    return plain(found)
            time.sleep(0.002)
        return None


class Peer:
    def __init__(self, domain):
        self.participant = DomainParticipant(domain)
        self.domain = domain
        self.listeners, self.frames, self.clients = {}, {}, {}
        self.pending, self.others = {}, []

    def listen(self, command):
        terms = (command.get("reliable", True), command.get("latched", False), command.get("depth", 1000))
        self.listeners[command["topic"]] = Listener(self.participant, command["topic"], command["type"], *terms)
        return True

    def take(self, command):
        return self.listeners[command["topic"]].take()

    def advertise(self, command):
        # Another node: a participant of its own.
        terms, participant = qos(), DomainParticipant(self.domain)
        topic = Topic(participant, "rt" + command["topic"], MESSAGES[command["type"]], qos=terms)
        self.others += [participant, DataWriter(participant, topic, qos=terms)]
        return True

    def publish(self, command):
        self.frames[command["topic"]] = Frames(self.participant, command)
        return True

    def published(self, command):
        frames = self.frames[command["topic"]]
        frames.join(command.get("timeout", 300))
        return frames.sent

    def garbage(self, command):
        # A participant of its own: one cannot have two types on a topic.
        participant = DomainParticipant(self.domain)
        self.others.append(participant)
        terms = qos(True, False, 50)
        kind = GARBAGE[command["type"]]
        writer = DataWriter(participant, Topic(participant, "rt" + command["topic"], kind, qos=terms), qos=terms)
        end = time.time() + DISCOVERY_SECS
        while not writer.get_matched_subscriptions() and time.time() < end:
            time.sleep(0.01)
        source = random.Random(7)
        for _ in range(command["count"]):
            writer.write(kind(noise=[source.randrange(256) for _ in range(64)]))
            time.sleep(0.01)
        return command["count"]

    def client(self, command):
        key = service, kind, _ = command["service"], command["type"], command.get("client", "")
        if key not in self.clients:
            self.clients[key] = Client(self.participant, service, kind)
        return self.clients[key]

    def call(self, command):
        client = self.client(command)
        if not client.wait(DISCOVERY_SECS):
            return {"error": "no such service"}
        fields = dict(command.get("request", {}))
        if "picture" in fields:
            about = json.loads(Path(fields["picture"]).with_suffix(".json").read_text())
            data = Path(fields.pop("picture")).with_suffix(".bin").read_bytes()
            fields["image"] = Image(height=about["height"], width=about["width"], encoding=about["encoding"], step=about["step"], data=data)
        if "transition" in fields:
            fields["transition"] = Transition(**fields["transition"])
        if "parameters" in fields:
            fields["parameters"] = [Parameter(each["name"], ParameterValue(**each["value"])) for each in fields["parameters"]]
        client.send(**fields)
        if command.get("later"):
            self.pending[command["later"]] = client
            return True
        return client.answer(command.get("timeout", 10)) or {"error": "no answer"}

    def answer(self, command):
        return self.pending.pop(command["of"]).answer(command.get("timeout", 20)) or {"error": "no answer"}

    def connect(self, command):
        # Clients that know the service beforehand can call at the same time.
        return self.client(command).wait(DISCOVERY_SECS)

    def garbage_call(self, command):
        participant = DomainParticipant(self.domain)
        self.others.append(participant)
        client = Client(participant, command["service"], "SetName", GarbageSetNameRequest)
        if not client.wait(DISCOVERY_SECS):
            return {"error": "no such service"}
        client.send(noise=[255] * 64)
        return client.answer(command.get("timeout", 2)) or {"error": "no answer"}

    def clock(self, command):
        terms = qos(False, False, 1)
        if "/clock" not in self.clients:
            self.clients["/clock"] = DataWriter(self.participant, Topic(self.participant, "rt/clock", Clock, qos=terms), qos=terms)
        writer, hz = self.clients["/clock"], command.get("hz", 50)

        def tick():
            now = command["from"]
            while now <= command["to"]:
                writer.write(Clock(clock=ros_time(int(now * 1e9))))
                time.sleep(1 / hz)
                now += command.get("speed", 1.0) / hz

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        if command.get("wait", True):
            thread.join()
        return True

    def offers(self, command):
        reader = BuiltinDataReader(self.participant, BuiltinTopicDcpsPublication)
        found, end = {}, time.time() + command.get("timeout", 5)
        while not found and time.time() < end:
            for sample in reader.take(N=200):
                if getattr(sample, "topic_name", None) == "rt" + command["topic"]:
                    found[str(sample.key)] = {"type": sample.type_name, "qos": str(sample.qos)}
            time.sleep(0.02)
        return list(found.values())


def main():
    peer = Peer(int(sys.argv[1]))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(peer, command["do"])(command)), flush=True)


if __name__ == "__main__":
    main()
