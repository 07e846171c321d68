"""Writes encodings.json: small images in every encoding that `frame::Decoder` reads, and the RGB
that OpenCV makes of them.

    python -m venv venv && venv/bin/pip install opencv-python-headless==5.0.0.93 numpy pillow
    venv/bin/python tests/reference/encodings.py

Each case: the fields of sensor_msgs/Image (or `file`, a JPEG or PNG), `rgb` as OpenCV reads it, and
`tolerance`, the largest difference of a sample that the test accepts; `border` pixels on each side
are not compared. Bytes are written in hexadecimal.
"""

import io
import json
import pathlib

import cv2
import numpy as np
from PIL import Image

RNG = np.random.default_rng(20)
OUT = pathlib.Path(__file__).with_suffix(".json")


def scene(width, height):
    """Smooth colours with one hard edge, so that swapped or shifted channels show."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x * 5 + y * 9) % 256], axis=-1)
    rgb[height // 2 :, width // 2 :] = [250, 20, 40]
    return rgb.astype(np.uint8)


def padded(rows, padding):
    """Rows with `padding` bytes of 0xAA after each; returns step and bytes."""
    rows = rows.reshape(rows.shape[0], -1)
    filler = np.full((rows.shape[0], padding), 0xAA, np.uint8)
    joined = np.concatenate([rows, filler], axis=1)
    return joined.shape[1], joined.tobytes()


def raw(encoding, rows, rgb, *, tolerance=0, padding=0, bigendian=False, border=0):
    step, data = padded(rows, padding)
    height, width = rgb.shape[:2]
    return {
        "encoding": encoding,
        "width": width,
        "height": height,
        "is_bigendian": bigendian,
        "step": step,
        "data": data.hex(),
        "rgb": rgb.tobytes().hex(),
        "tolerance": tolerance,
        "border": border,
    }


def file(name, data, *, tolerance=0, flags=cv2.IMREAD_COLOR_RGB):
    data = bytes(data)
    rgb = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert rgb is not None and rgb.dtype == np.uint8, name
    height, width = rgb.shape[:2]
    return {
        "file": name,
        "width": width,
        "height": height,
        "data": data.hex(),
        "rgb": rgb.tobytes().hex(),
        "tolerance": tolerance,
        "border": 0,
    }


def pillow(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def opencv(extension, image, *params):
    ok, data = cv2.imencode(extension, image, list(params))
    assert ok
    return data.tobytes()


def raw_cases():
    rgb = scene(16, 8)
    bgr = rgb[..., ::-1].copy()
    alpha = np.full((8, 16, 1), 77, np.uint8)
    grey = rgb[..., 0].copy()
    grey16 = RNG.integers(0, 65536, (8, 16), np.uint16)
    # OpenCV rounds a scaled conversion to the nearest.
    grey8 = cv2.convertScaleAbs(grey16, alpha=255 / 65535)
    for padding in (0, 5):
        yield raw("rgb8", rgb, rgb, padding=padding)
        yield raw("bgr8", bgr, rgb, padding=padding)
        yield raw("rgba8", np.concatenate([rgb, alpha], -1), rgb, padding=padding)
        yield raw("bgra8", np.concatenate([bgr, alpha], -1), rgb, padding=padding)
        yield raw("mono8", grey, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), padding=padding)
        from_grey16 = cv2.cvtColor(grey8, cv2.COLOR_GRAY2RGB)
        yield raw("mono16", grey16.astype("<u2").view(np.uint8), from_grey16, padding=padding)
        yield raw("mono16", grey16.astype(">u2").view(np.uint8), from_grey16, padding=padding, bigendian=True)

    # Random samples of the limited range reach the clipping of each channel; 38 columns reach wide
    # registers and their remainder. (Below Y 16 OpenCV stops at 16 and the `yuv` crate does not.)
    packed = RNG.integers(16, 236, (6, 38, 2), np.uint8)
    yuyv, uyvy = (cv2.cvtColor(packed, code) for code in (cv2.COLOR_YUV2RGB_YUY2, cv2.COLOR_YUV2RGB_UYVY))
    planes = RNG.integers(16, 236, (9, 38), np.uint8)
    nv12, nv21 = (cv2.cvtColor(planes, code) for code in (cv2.COLOR_YUV2RGB_NV12, cv2.COLOR_YUV2RGB_NV21))
    for padding in (0, 6):
        for name in ("yuyv", "yuv422_yuy2"):
            yield raw(name, packed, yuyv, padding=padding, tolerance=2)
        for name in ("uyvy", "yuv422"):
            yield raw(name, packed, uyvy, padding=padding, tolerance=2)
        yield raw("nv12", planes, nv12, padding=padding, tolerance=2)
        yield raw("nv21", planes, nv21, padding=padding, tolerance=2)

    # OpenCV copies its border from the pixels next to it; ours mirrors the mosaic.
    mosaic = RNG.integers(0, 256, (8, 16), np.uint8)
    for pattern in ("RGGB", "BGGR", "GBRG", "GRBG"):
        rgb = cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{pattern}2RGB"))
        yield raw(f"bayer_{pattern.lower()}8", mosaic, rgb, border=1)
        yield raw(f"bayer_{pattern.lower()}8", mosaic, rgb, border=1, padding=3)


def file_cases():
    rgb = cv2.GaussianBlur(scene(29, 21), (0, 0), 2)
    bgr = rgb[..., ::-1].copy()
    grey = rgb[..., 0].copy()
    full = (cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    half = (cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)
    progressive = (*half, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    restarts = (*half, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    yield file("jpeg 4:4:4", opencv(".jpg", bgr, *full), tolerance=3)
    yield file("jpeg 4:2:0", opencv(".jpg", bgr, *half), tolerance=3)
    yield file("jpeg progressive", opencv(".jpg", bgr, *progressive), tolerance=3)
    yield file("jpeg with restarts", opencv(".jpg", bgr, *restarts), tolerance=3)
    yield file("jpeg grey", opencv(".jpg", grey, cv2.IMWRITE_JPEG_QUALITY, 90), tolerance=3)
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        turned = pillow(Image.fromarray(rgb[:7, :12]), format="JPEG", quality=90, subsampling=0, exif=exif)
        yield file(f"jpeg orientation {turn}", turned, tolerance=3)

    small = scene(16, 8)
    alpha = RNG.integers(0, 256, (8, 16, 1), np.uint8)
    deep = RNG.integers(0, 65536, (8, 16, 3), np.uint16)
    yield file("png rgb", opencv(".png", small[..., ::-1]))
    yield file("png rgba", pillow(Image.fromarray(np.concatenate([small, alpha], -1)), format="PNG"))
    yield file("png grey", opencv(".png", small[..., 0]))
    yield file("png grey and alpha", pillow(Image.fromarray(np.concatenate([small[..., :1], alpha], -1)), format="PNG"))
    yield file("png one bit", pillow(Image.fromarray(small[..., 0] > 99), format="PNG"))
    yield file("png palette", pillow(Image.fromarray(small).quantize(11), format="PNG"))
    # OpenCV keeps the high byte where we round.
    exif = Image.Exif()
    exif[0x0112] = 6
    yield file("png orientation", pillow(Image.fromarray(small), format="PNG", exif=exif))
    yield file("png 16 bit", opencv(".png", deep), tolerance=1)
    yield file("png 16 bit grey", opencv(".png", deep[..., 0]), tolerance=1)


def main():
    cases = [*raw_cases(), *file_cases()]
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes, OpenCV {cv2.__version__}")


if __name__ == "__main__":
    main()
