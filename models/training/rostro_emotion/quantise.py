"""A static INT8 variant, to see whether it is worth having: `python -m rostro_emotion quantise --onnx FILE --out FILE`."""
import time

import numpy as np

from . import data


def add_arguments(p):
    p.add_argument("--onnx", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--train", default="../../../shared/data/expressions/ferplus_train.npz")
    p.add_argument("--valid", default="../../../shared/data/expressions/ferplus_valid.npz")
    p.add_argument("--seed", type=int, default=0)


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


def main(a):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    train, valid = data.load(a.train), data.load(a.valid)
    chosen = np.random.default_rng(a.seed).choice(len(train), 256, replace=False)

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self.left = iter(train.x[chosen].float().numpy())

        def get_next(self):
            grey = next(self.left, None)
            return None if grey is None else {"grey": grey[None]}

    prepared = a.out + ".prepared"
    quant_pre_process(a.onnx, prepared)
    quantize_static(prepared, a.out, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8, op_types_to_quantize=["Conv", "Gemm"])
    x, y = valid.x[valid.majority8].float().numpy(), valid.y8[valid.majority8].numpy()
    for path in (a.onnx, a.out):
        ms, session = milliseconds(path, x[:1])
        z = np.concatenate([session.run(["ferplus"], {"grey": part})[0] for part in np.array_split(x, 20)])
        print(f"{path}: {ms:.2f} ms, FER+ majority {np.mean(z.argmax(1) == y):.4f}")
