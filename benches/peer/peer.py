"""The pipeline that a good engineer would write in Python with the same networks: onnxruntime, OpenCV, numpy.

Detect, align, embed, read the expression, track, look up; every face in every frame, batched. One thread, like
rostro. Prints one JSON object. `benches/peer/run.py` runs it beside rostro.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

PICTURES = 4  # as src/bench/frames.rs writes them
EMBED_TEMPLATE = [[46.77, 45.11], [101.38, 44.96], [73.76, 78.58], [49.75, 100.65], [99.04, 100.40]]
EMOTION_TEMPLATE = [[14.83, 18.58], [32.17, 18.58], [23.5, 28.87], [15.9, 36.83], [31.1, 36.83]]


class Net:
    """A session that counts the images it is given and the time it takes."""

    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.images = 0
        self.secs = 0.0

    def run(self, tensor):
        began = time.perf_counter()
        found = self.session.run(None, {self.input: tensor})
        self.secs += time.perf_counter() - began
        self.images += len(tensor)
        return dict(zip(self.outputs, found))


class YunetOrt:
    """YuNet's fixed 640 x 640 input through onnxruntime, decoded with numpy."""

    SIDE = 640

    def __init__(self, models):
        self.net = Net(models / "yunet-n-640/yunet_n_640_640.onnx")
        self.canvas = np.zeros((self.SIDE, self.SIDE, 3), np.uint8)
        self.cells = {}
        for stride in (8, 16, 32):
            side = self.SIDE // stride
            rows, columns = np.mgrid[:side, :side]
            self.cells[stride] = np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float32)

    def detect(self, frame):
        height, width = frame.shape[:2]
        scale = min(1.0, self.SIDE / max(height, width))
        size = round(width * scale), round(height * scale)
        cv2.resize(frame, size, dst=self.canvas[: size[1], : size[0]], interpolation=cv2.INTER_AREA)
        out = self.net.run(cv2.dnn.blobFromImage(self.canvas))
        boxes, points, scores = [], [], []
        for stride, cells in self.cells.items():
            score = np.sqrt(out[f"cls_{stride}"][0, :, 0].clip(0, 1) * out[f"obj_{stride}"][0, :, 0].clip(0, 1))
            keep = np.flatnonzero(score >= 0.6)
            cell, box = cells[keep], out[f"bbox_{stride}"][0, keep]
            centre, extent = (cell + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride
            boxes.append(np.hstack([centre - extent / 2, extent]))
            shifts = out[f"kps_{stride}"][0, keep].reshape(-1, 5, 2)
            points.append((shifts + cell[:, None]) * stride)
            scores.append(score[keep])
        boxes, points, scores = map(np.concatenate, (boxes, points, scores))
        kept = np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.6, 0.3), int).ravel()
        boxes, points = boxes[kept] / scale, points[kept] / scale
        return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]), points


class YunetOpenCv:
    """The same network through OpenCV's own class, which pads to multiples of 32 and no further."""

    def __init__(self, models):
        path = str(models / "yunet-n-640/yunet_n_640_640.onnx")
        self.detector = cv2.FaceDetectorYN.create(path, "", (640, 640), 0.6, 0.3, 5000)

    def detect(self, frame):
        height, width = frame.shape[:2]
        scale = min(1.0, 640 / max(height, width))
        small = cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        self.detector.setInputSize((small.shape[1], small.shape[0]))
        found = self.detector.detect(small)[1]
        if found is None:
            return np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
        found = found / scale
        return np.hstack([found[:, :2], found[:, :2] + found[:, 2:4]]), found[:, 4:14].reshape(-1, 5, 2)


def overlap_kept(boxes, scores, threshold, of_smaller=False):
    """Indices of the boxes that non-maximum suppression keeps."""
    order, kept = np.argsort(-scores), []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.minimum(area[best], area[rest]) if of_smaller else area[best] + area[rest] - shared
        order = rest[shared / np.maximum(whole, 1e-9) <= threshold]
    return np.array(kept, int)


class Mtcnn:
    """MTCNN as its users know it: an image pyramid, then two batches of crops."""

    def __init__(self, models):
        self.pnet, self.rnet, self.onet = (Net(models / f"mtcnn/{part}.onnx") for part in ("pnet", "rnet", "onet"))

    def detect(self, frame):
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        boxes = self.refine(rgb, self.propose(rgb))
        return self.finish(rgb, boxes)

    @staticmethod
    def tensor(images):
        return cv2.dnn.blobFromImages(images, 1 / 128, mean=(127.5, 127.5, 127.5))

    def propose(self, rgb):
        height, width = rgb.shape[:2]
        scale, found = 12 / 20, []
        while min(height, width) * scale >= 12:
            size = int(width * scale + 1), int(height * scale + 1)
            out = self.pnet.run(self.tensor([cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)]))
            score, shift = out["prob"][0, 1], out["reg"][0]
            rows, columns = np.nonzero(score >= 0.6)
            if rows.size:
                at = np.stack([columns, rows, columns, rows], 1) * 2
                box = np.floor((at + [1, 1, 12, 12]) / scale)
                score, shift = score[rows, columns], shift[:, rows, columns].T
                kept = overlap_kept(box, score, 0.5)
                found.append(np.hstack([box, score[:, None], shift])[kept])
            scale *= 0.709
        if not found:
            return np.zeros((0, 4))
        found = np.concatenate(found)
        found = found[overlap_kept(found[:, :4], found[:, 4], 0.7)]
        return self.squared(self.moved(found[:, :4], found[:, 5:9], 0))

    @staticmethod
    def moved(box, shift, extra):
        extent = box[:, 2:] - box[:, :2] + extra
        return box + shift * np.hstack([extent, extent])

    @staticmethod
    def squared(box):
        centre, side = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).max(axis=1, keepdims=True)
        return np.hstack([centre - side / 2, centre + side / 2])

    def crops(self, rgb, boxes, side):
        height, width = rgb.shape[:2]
        low = np.maximum(boxes[:, :2].astype(int), 1) - 1
        high = np.minimum(boxes[:, 2:].astype(int), [width, height])
        inside = (high > low).all(axis=1)
        cut = [
            cv2.resize(rgb[y1:y2, x1:x2], (side, side), interpolation=cv2.INTER_AREA)
            for (x1, y1), (x2, y2) in zip(low[inside], high[inside])
        ]
        return boxes[inside], cut

    def refine(self, rgb, boxes):
        boxes, crops = self.crops(rgb, boxes, 24)
        if not crops:
            return boxes
        out = self.rnet.run(self.tensor(crops))
        score = out["prob"][:, 1]
        keep = np.flatnonzero(score > 0.7)
        boxes, score, shift = boxes[keep], score[keep], out["reg"][keep]
        kept = overlap_kept(boxes, score, 0.7)
        return self.squared(self.moved(boxes[kept], shift[kept], 1))

    def finish(self, rgb, boxes):
        boxes, crops = self.crops(rgb, boxes, 48)
        if not crops:
            return boxes, np.zeros((0, 5, 2))
        out = self.onet.run(self.tensor(crops))
        score = out["prob"][:, 1]
        keep = np.flatnonzero(score > 0.7)
        boxes, score, shift = boxes[keep], score[keep], out["reg"][keep]
        shares = out["landmarks"][keep].reshape(-1, 2, 5).transpose(0, 2, 1)
        extent = boxes[:, 2:] - boxes[:, :2] + 1
        points = boxes[:, None, :2] + shares * extent[:, None] - 1
        boxes = self.moved(boxes, shift, 1)
        kept = overlap_kept(boxes, score, 0.7, of_smaller=True)
        return boxes[kept], points[kept]


def similarity(points, template):
    """The least-squares similarity that takes `points` to `template`, as a 2 x 3 matrix."""
    points, template = np.asarray(points, np.float64), np.asarray(template)
    p0, t0 = points.mean(axis=0), template.mean(axis=0)
    p, t = points - p0, template - t0
    spread = (p * p).sum()
    a, b = (p * t).sum() / spread, (p[:, 0] * t[:, 1] - p[:, 1] * t[:, 0]).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.hstack([turn, (t0 - turn @ p0)[:, None]])


class Pipeline:
    def __init__(self, detector, models, emotion):
        self.detector = {"mtcnn": Mtcnn, "yunet": YunetOrt, "yunet-opencv": YunetOpenCv}[detector](models)
        self.embedder = Net(models / "dlib-resnet-v1/dlib_resnet_v1.onnx")
        self.emotion = Net(models / emotion / f"{emotion}.onnx")
        self.gallery = np.random.default_rng(0).normal(size=(50, 128)).astype(np.float32)
        self.gallery /= np.linalg.norm(self.gallery, axis=1, keepdims=True)
        self.tracks, self.next_track = [], 0

    def process(self, frame):
        boxes, points = self.detector.detect(frame)
        people = []
        if len(boxes):
            faces = [cv2.warpAffine(frame, similarity(p, EMBED_TEMPLATE), (150, 150)) for p in points]
            small = [cv2.warpAffine(frame, similarity(p, EMOTION_TEMPLATE), (48, 48)) for p in points]
            looks = self.embedder.run(cv2.dnn.blobFromImages(faces, swapRB=True))["embedding"]
            greys = np.stack([cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in small])
            logits = self.emotion.run(greys[:, None].astype(np.float32))["ferplus"]
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            likeness = looks @ self.gallery.T
            people = list(zip(boxes, likeness.argmax(axis=1), likeness.max(axis=1), odds / odds.sum(axis=1)[:, None]))
        self.track(boxes)
        return people

    def track(self, boxes):
        """Greedy matching by overlap."""
        tracks, free = [], list(range(len(boxes)))
        for number, last in self.tracks:
            overlaps = [(self.iou(last, boxes[index]), index) for index in free]
            best = max(overlaps, default=(0, -1))
            if best[0] > 0.3:
                free.remove(best[1])
                tracks.append((number, boxes[best[1]]))
        for index in free:
            tracks.append((self.next_track, boxes[index]))
            self.next_track += 1
        self.tracks = tracks

    @staticmethod
    def iou(a, b):
        shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
        return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)

    def nets(self):
        parts = [("embed", self.embedder), ("emotion", self.emotion)]
        return parts + [(name, net) for name, net in vars(self.detector).items() if isinstance(net, Net)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--detector", choices=["mtcnn", "yunet", "yunet-opencv"], required=True)
    arguments.add_argument("--models", type=Path, required=True)
    arguments.add_argument("--frames", type=Path, required=True, help="WIDTHxHEIGHT-FACES.bgr of rostro bench --frames")
    arguments.add_argument("--emotion", default="rostro-emotion", help="expression net, by name")
    arguments.add_argument("--secs", type=float, default=5.0)
    given = arguments.parse_args()
    cv2.setNumThreads(1)
    width, height = map(int, given.frames.stem.split("-")[0].split("x"))
    pictures = np.fromfile(given.frames, np.uint8).reshape(PICTURES, height, width, 3)
    period = 2 * PICTURES - 2
    shown = [pictures[min(tick, period - tick)] for tick in range(period)]

    line = Pipeline(given.detector, given.models, given.emotion)
    for frame in shown * 2:
        line.process(frame)
    for _, net in line.nets():
        net.images, net.secs = 0, 0.0
    rounds, found, began = [], 0, time.perf_counter()
    while len(rounds) < 5 or time.perf_counter() - began < given.secs:
        start = time.perf_counter()
        for frame in shown:
            found += len(line.process(frame))
        rounds.append((time.perf_counter() - start) / period)
    frames = len(rounds) * period
    print(json.dumps({
        "frame_ms": float(np.median(rounds)) * 1e3,
        "inference_ms": sum(net.secs for _, net in line.nets()) / frames * 1e3,
        "faces_found": found / frames,
        "images_per_frame": {name: net.images / frames for name, net in line.nets()},
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3,
    }))


if __name__ == "__main__":
    main()
