#!/usr/bin/env python3
"""rostro beside the Python pipeline of peer.py: the same frames, networks and threads, in turns.

    cargo build --release && benches/peer/run.py            # table
    benches/peer/run.py --size 640x480 --faces 3 --json

Makes a virtual environment under target/peer the first time (onnxruntime, OpenCV and numpy from PyPI). Two
figures per detector: *equal work*, rostro measuring every face in every frame as the peer does, and *as
shipped*, rostro measuring a face when it is due.
"""

import argparse
import json
import statistics
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / "target/peer"
PACKAGES = ["onnxruntime==1.23.2", "opencv-python-headless==4.12.0.88", "numpy==2.2.6"]
# OpenCV pads to multiples of 32 and no further, as our yunet-n-dynamic does.
DETECTORS = {"yunet": "yunet-n-640", "yunet-opencv": "yunet-n-dynamic", "mtcnn": "mtcnn"}


def python():
    interpreter = PEER / "bin/python"
    done = PEER / "complete"
    if not done.exists():
        print("fetching", " ".join(PACKAGES), file=sys.stderr)
        venv.create(PEER, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.touch()
    return interpreter


def said(command):
    return json.loads(subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE).stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", default="1280x720")
    arguments.add_argument("--faces", default="5")
    arguments.add_argument("--detector", nargs="*", choices=DETECTORS, default=list(DETECTORS))
    arguments.add_argument("--rounds", type=int, default=3, help="turns of each program")
    arguments.add_argument("--secs", default="5", help="least time of each turn")
    arguments.add_argument("--rostro", type=Path, default=ROOT / "target/release/rostro")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    interpreter = python()
    models = Path(said([given.rostro, "models", "list", "--json"])["folder"]) / "models"
    frames = PEER / "frames"

    results = []
    for detector in given.detector:
        ours = [given.rostro, "bench", "--json", "--detector", DETECTORS[detector], "--size", given.size,
                "--faces", given.faces, "--secs", given.secs, "--frames", frames]
        theirs = [interpreter, ROOT / "benches/peer/peer.py", "--detector", detector, "--models", models,
                  "--frames", frames / f"{given.size}-{given.faces}.bgr", "--secs", given.secs]
        turns = {"equal": [], "shipped": [], "peer": []}
        for _ in range(given.rounds):
            turns["equal"] += said([*ours, "--every-face"])["cases"]
            # The same expression net for both.
            emotion = next(net for net in dict(turns["equal"][-1]["images_per_frame"]) if "emotion" in net)
            turns["peer"].append(said([*theirs, "--emotion", emotion]))
            turns["shipped"] += said(ours)["cases"]
        results.append({"detector": detector, **{name: summary(all_of_it) for name, all_of_it in turns.items()}})

    if given.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{given.size}, {given.faces} faces; ms per frame, images per frame through each network")
    for result in results:
        peer = result["peer"]
        print(f"\n{result['detector']}")
        for name in ("peer", "equal", "shipped"):
            one = result[name]
            compared = "" if name == "peer" else (
                f"  time {one['frame_ms'] / peer['frame_ms']:.2f}, memory {one['peak_rss_mb'] / peer['peak_rss_mb']:.2f}"
                " of the peer's")
            images = ", ".join(f"{net} {count:.2f}" for net, count in one["images_per_frame"].items())
            print(f"  {name:8} {one['frame_ms']:8.2f} ms  {one['peak_rss_mb']:5.0f} MB  found {one['faces_found']:.1f}"
                  f"{compared}\n           {images}")


def summary(turns):
    middle = {key: statistics.median(turn[key] for turn in turns) for key in ("frame_ms", "peak_rss_mb", "faces_found")}
    return {**middle, "images_per_frame": dict(turns[0]["images_per_frame"])}


if __name__ == "__main__":
    main()
