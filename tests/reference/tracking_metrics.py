"""Reference values of the tracking measures, from PyPI's trackeval and motmetrics.

    tracking_metrics.py > tracking_metrics.json

Random recordings with every kind of mistake (missed and false faces, jitter, switches), each with its
boxes and what the two packages make of them. Overlaps from 0.3 count, as in rostro.
"""

import json

import motmetrics
import numpy as np
from trackeval.metrics import CLEAR, HOTA, Identity

MIN_IOU = 0.3
FRAMES = 40


def boxes(rng, people):
    """Per frame: true (id, box) and found (id, box), boxes as x, y, w, h."""
    start = rng.uniform(0, 400, (people, 2))
    speed = rng.uniform(-6, 6, (people, 2))
    names = {p: 10 + p for p in range(people)}
    frames = []
    for t in range(FRAMES):
        truth, found = [], []
        if rng.random() < 0.08 and people > 1:
            a, b = rng.choice(people, 2, replace=False)
            names[a], names[b] = names[b], names[a]
        for p in range(people):
            x, y = start[p] + speed[p] * t
            if rng.random() < 0.1:
                continue
            truth.append((p, [round(float(v), 3) for v in (x, y, 40, 50)]))
            if rng.random() < 0.15:
                continue
            if rng.random() < 0.03:
                names[p] = 100 + 10 * t + p
            jitter = rng.normal(0, 5, 4)
            found.append((names[p], [round(float(v), 3) for v in (x + jitter[0], y + jitter[1], 40 + jitter[2], 50 + jitter[3])]))
        for n in range(rng.poisson(0.2)):
            found.append((900 + n, [round(float(v), 3) for v in (*rng.uniform(0, 400, 2), 40, 50)]))
        frames.append((truth, found))
    return frames


def iou(a, b):
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    w = max(0.0, min(ax + aw, bx + bw) - max(ax, bx))
    h = max(0.0, min(ay + ah, by + bh) - max(ay, by))
    return w * h / (aw * ah + bw * bh - w * h)


def trackeval_of(frames):
    gt_ids = sorted({p for truth, _ in frames for p, _ in truth})
    tr_ids = sorted({n for _, found in frames for n, _ in found})
    gt_number, tr_number = {p: i for i, p in enumerate(gt_ids)}, {n: i for i, n in enumerate(tr_ids)}
    similarity = [np.array([[iou(a, b) for _, b in found] for _, a in truth]).reshape(len(truth), len(found)) for truth, found in frames]
    data = {
        "num_timesteps": len(frames),
        "num_gt_ids": len(gt_ids),
        "num_tracker_ids": len(tr_ids),
        "num_gt_dets": sum(len(truth) for truth, _ in frames),
        "num_tracker_dets": sum(len(found) for _, found in frames),
        "gt_ids": [np.array([gt_number[p] for p, _ in truth], int) for truth, _ in frames],
        "tracker_ids": [np.array([tr_number[n] for n, _ in found], int) for _, found in frames],
        "similarity_scores": similarity,
    }
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": MIN_IOU}
    hota, clear, identity = HOTA().eval_sequence(data), CLEAR(quiet).eval_sequence(data), Identity(quiet).eval_sequence(data)
    return {
        "hota": float(np.mean(hota["HOTA"])),
        "det_a": float(np.mean(hota["DetA"])),
        "ass_a": float(np.mean(hota["AssA"])),
        "mota": float(clear["MOTA"]),
        "id_switches": int(clear["IDSW"]),
        "fragments": int(clear["Frag"]),
        "missed": int(clear["CLR_FN"]),
        "false_faces": int(clear["CLR_FP"]),
        "idf1": float(identity["IDF1"]),
    }


def motmetrics_of(frames):
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for truth, found in frames:
        distance = np.array([[1 - iou(a, b) for _, b in found] for _, a in truth]).reshape(len(truth), len(found))
        distance[distance > 1 - MIN_IOU] = np.nan
        accumulator.update([p for p, _ in truth], [n for n, _ in found], distance)
    summary = motmetrics.metrics.create().compute(accumulator, metrics=["idf1", "mota", "num_switches"], name="all")
    return {"idf1": float(summary["idf1"]["all"]), "mota": float(summary["mota"]["all"])}


def main():
    cases = []
    for seed in range(8):
        frames = boxes(np.random.default_rng(seed), 2 + seed % 5)
        cases.append({"frames": frames, "trackeval": trackeval_of(frames), "motmetrics": motmetrics_of(frames)})
    print(json.dumps(cases, separators=(",", ":")))


if __name__ == "__main__":
    main()
