"""From a checkpoint to `models/`: `python -m rostro_emotion export --run runs/a --out ../rostro-emotion`.

Calibrates on the held-out tenth of the training split, writes the ONNX file and its manifest, and checks the
file against PyTorch.
"""
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import data, metrics
from .augment import crop, normalise
from .nets import NETS, multiply_adds, parameters

PARITY = 1e-4


class Deployed(nn.Module):
    """Raw grey 0..255 in, both heads' logits out; crop, standardisation and the mirrored second look inside."""

    def __init__(self, net, flip):
        super().__init__()
        self.net, self.flip = net, flip

    def forward(self, grey):
        x = normalise(crop(grey))
        if not self.flip:
            return self.net(x)
        z8, z7 = self.net(torch.cat([x, x.flip(3)]))
        n = grey.shape[0]
        return (z8[:n] + z8[n:]) / 2, (z7[:n] + z7[n:]) / 2


def temperature(z, y):
    """The temperature with the least negative log likelihood."""
    grid = torch.exp(torch.linspace(math.log(0.3), math.log(3), 461))
    return grid[torch.stack([F.cross_entropy(z / t, y) for t in grid]).argmin()].item()


def matching_bias(z, y, strength, steps=300):
    """Offsets of the logits under which each class is read about as often as it occurs.

    Training on votes makes a net prefer the common class wherever people disagreed, and a rare one is then
    never read at all. `strength` 0 does nothing, 1 matches the counts.
    """
    bias, wanted = torch.zeros(z.shape[1]), torch.bincount(y, minlength=z.shape[1]).float()
    for step in range(steps):
        read = torch.bincount((z + bias).argmax(1), minlength=z.shape[1]).float()
        bias += 0.3 / (1 + step / 30) * ((wanted + 1).log() - (read + 1).log())
    bias = strength * bias
    return bias - bias.mean()


def load(run, flip):
    """The smoothed net of a run as it will be deployed, and its checkpoint."""
    ck = torch.load(Path(run) / "last.pt", map_location="cpu", weights_only=False)
    net = NETS[ck["args"]["net"]]().eval()
    net.load_state_dict(ck["ema"])
    return Deployed(net, flip).eval(), ck


@torch.no_grad()
def outputs(model, x):
    parts = [model(part.float()) for part in x.split(256)]
    return [torch.cat(column) for column in zip(*parts)]


def write_onnx(model, path):
    names = dict(input_names=["grey"], output_names=["ferplus", "fer2013"])
    n = {k: {0: "n"} for k in ("grey", "ferplus", "fer2013")}
    torch.onnx.export(model, torch.zeros(2, 1, 48, 48), str(path), opset_version=17, dynamic_axes=n, dynamo=False, **names)


def parity(model, path, x):
    """Largest difference of any logit between ONNX Runtime and PyTorch."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = outputs(model, x)
    theirs = session.run(None, {"grey": x.float().numpy()})
    one = session.run(None, {"grey": x[:1].float().numpy()})
    alone = max(np.abs(a[:1] - b).max() for a, b in zip(theirs, one))
    return max(*(np.abs(a.numpy() - b).max() for a, b in zip(ours, theirs)), alone)


MANIFEST = """\
# Our own net; see the card {name}.md.
manifest = 1
name = "{name}"
pack = "open"
role = "emotion"
decoder = "emotion_logits"
license = "Apache-2.0"
commercial_use = true
source = "models/training of this project"
training_data = "FER2013's Training split (pictures collected from the web for a Kaggle challenge) with the votes of FER+ (microsoft/FERPlus, MIT)"
download_mb = 0.0

[[file]]
part = "model"
name = "{name}.onnx"
sha256 = "{sha256}"
from = {{ by = "built_in" }}

[input]
name = "grey"
width = 48
height = 48
colour = "grey"
mean = 0.0
scale = 1.0

[alignment]
size = 48

[alignment.templates]
# FER2013's framing: medians over 235 frontal faces of its Training split, made symmetric.
five_point = [[14.83, 18.58], [32.17, 18.58], [23.5, 28.87], [15.9, 36.83], [31.1, 36.83]]
dlib_five = [[35.5, 18.37], [28.88, 18.75], [11.5, 18.37], [18.12, 18.75], [23.5, 31.88]]

[emotion]
output = "ferplus"
labels = [{ferplus}]
temperature = {t8:.4f}
# Frequencies in the training split.
prior = [{prior}]
measured_on = "temperature: least negative log likelihood on {held} pictures, a seeded tenth of the training split that was not trained on; figures in {name}.md"

[emotion.fer2013]
output = "fer2013"
labels = [{fer2013}]
temperature = {t7:.4f}
"""


def quoted(labels):
    return ", ".join(f'"{label}"' for label in labels)


def add_arguments(p):
    p.add_argument("--run", required=True)
    p.add_argument("--out", required=True, help="path without ending; .onnx and .toml are written")
    p.add_argument("--train", default="../../../shared/data/expressions/ferplus_train.npz")
    p.add_argument("--valid", default="../../../shared/data/expressions/ferplus_valid.npz")
    p.add_argument("--match", type=float, default=0.75, help="how far the counts of readings are matched to those of labels, 0 to 1")
    p.add_argument("--no-flip", dest="flip", action="store_false", help="leave out the mirrored second look")
    p.add_argument("--dry", action="store_true", help="figures only")


def main(a):
    model, ck = load(a.run, a.flip)
    args = ck["args"]
    _, held, valid, counts = data.prepare(a.train, a.valid, args["seed"], args["held_out"], args["blend"])
    z8, z7 = outputs(model, held.x)
    use, truth = held.argmax8, held.y8[held.argmax8]
    bias = matching_bias(z8[use], truth, a.match)
    t8, t7 = temperature(z8[use] + bias, truth), temperature(z7[held.use7], held.y7[held.use7])
    print(json.dumps(dict(epoch=ck["epoch"], parameters=parameters(model.net), multiply_adds_per_look=multiply_adds(model.net), looks=1 + a.flip, t8=t8, t7=t7, bias=bias.tolist(), **counts)))
    for name, part, z in (("held", held, (z8, z7)), ("valid", valid, outputs(model, valid.x))):
        r = metrics.report(*z, part, lambda z: (z + bias) / t8, lambda z: z / t7)
        print(name, metrics.brief(r), "at 80 %:", round(r["ferplus"]["accuracy_at_80"], 4))
        print("   recalls", [round(v, 2) for v in r["ferplus"]["recalls"]], [round(v, 2) for v in r["fer2013"]["recalls"]])
    with torch.no_grad():
        model.net.heads.ferplus.bias += bias
    if a.dry:
        return
    out = Path(a.out)
    path = out.with_suffix(".onnx")
    write_onnx(model, path)
    worst = parity(model, path, valid.x[:512])
    print(f"{path}: {path.stat().st_size} bytes, differs from PyTorch by at most {worst:.1e}")
    assert worst < PARITY, "the exported file is not the trained net"
    prior = ", ".join(f"{p:.4f}" for p in ck["mass"].tolist())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = MANIFEST.format(name=out.name, sha256=sha256, ferplus=quoted(data.FERPLUS), fer2013=quoted(data.FER2013), t8=t8, t7=t7, prior=prior, held=len(held))
    out.with_suffix(".toml").write_text(text)
