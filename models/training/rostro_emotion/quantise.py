"""The static INT8 variant: `python -m rostro_emotion quantise --onnx ../rostro-emotion.onnx --out ../rostro-emotion-int8.onnx`.

Weights get seven bits: x86 processors without VNNI add two products of bytes in sixteen bits, which eight overflow
(5 points of accuracy on one); with seven the answers are the same on all. Ranges are taken from training pictures and
the temperatures fitted anew on the calibration tenth; prints time and accuracy beside the original's. The manifest is
the original's with the new name, hash and temperatures.
"""
import hashlib
import re
import time
from pathlib import Path

import numpy as np
import torch

from . import data
from .export import temperature


def add_arguments(p):
    p.add_argument("--onnx", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--train", default="../../../shared/data/expressions/ferplus_train.npz")
    p.add_argument("--valid", default="../../../shared/data/expressions/ferplus_valid.npz")
    p.add_argument("--symmetric", action="store_true", help="signed activations around zero: all that TensorRT takes; slower than floats on a CPU")
    p.add_argument("--seed", type=int, default=0, help="of the run whose net this is: it chooses the calibration tenth")


def milliseconds(path, grey, runs=200):
    """Least time of one face on one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    best = float("inf")
    for _ in range(runs):
        begun = time.perf_counter()
        session.run(None, {"grey": grey})
        best = min(best, time.perf_counter() - begun)
    return best * 1e3, session


def logits(session, x):
    """Both heads' outputs for every picture."""
    parts = [session.run(["ferplus", "fer2013"], {"grey": part.float().numpy()}) for part in x.split(128)]
    return [torch.from_numpy(np.concatenate(column)) for column in zip(*parts)]


def manifest(original, path, t8, t7):
    """The original's manifest for the file at `path`."""
    temperatures = iter((t8, t7))
    text = original.with_suffix(".toml").read_text().replace(f'"{original.stem}', f'"{path.stem}')
    text = re.sub(r'sha256 = "\w+"', f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"', text)
    return re.sub(r"temperature = [\d.]+", lambda _: f"temperature = {next(temperatures):.4f}", text)


def main(a):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    train, held, valid, _ = data.prepare(a.train, a.valid, a.seed)
    chosen = np.random.default_rng(a.seed).choice(len(train), 256, replace=False)

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self.left = iter(train.x[chosen].float().numpy())

        def get_next(self):
            grey = next(self.left, None)
            return None if grey is None else {"grey": grey[None]}

    original, path = Path(a.onnx), Path(a.out)
    prepared = path.with_suffix(".prepared")
    quant_pre_process(str(original), str(prepared))
    activations = QuantType.QInt8 if a.symmetric else QuantType.QUInt8
    extra = {"ActivationSymmetric": a.symmetric, "WeightSymmetric": True}
    quantize_static(str(prepared), str(path), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8, activation_type=activations, op_types_to_quantize=["Conv", "Gemm"], extra_options=extra)
    prepared.unlink()
    x, y = valid.x[valid.majority8], valid.y8[valid.majority8]
    for file in (original, path):
        ms, session = milliseconds(file, x[:1].float().numpy())
        z8, _ = logits(session, x)
        print(f"{file}: {file.stat().st_size} bytes, {ms:.2f} ms, FER+ majority {(z8.argmax(1) == y).float().mean():.4f}")
    z8, z7 = logits(session, held.x)
    t8, t7 = temperature(z8[held.argmax8], held.y8[held.argmax8]), temperature(z7[held.use7], held.y7[held.use7])
    path.with_suffix(".toml").write_text(manifest(original, path, t8, t7))
