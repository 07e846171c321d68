"""Figures of merit, for the curve and the card; `rostro eval emotion` measures the exported net by itself."""
import math

import torch
import torch.nn.functional as F

from .augment import crop, normalise
from .data import FIVE


@torch.no_grad()
def logits(net, x, flip=False, bf16=False):
    """Both heads' logits over raw pictures, averaged with the mirrored picture's if `flip`."""
    net.eval()
    out8, out7 = [], []
    for part in x.split(256):
        part = normalise(crop(part.float())).contiguous(memory_format=torch.channels_last)
        with torch.autocast(part.device.type, torch.bfloat16, enabled=bf16):
            z8, z7 = net(part)
            if flip:
                m8, m7 = net(part.flip(3))
                z8, z7 = (z8 + m8) / 2, (z7 + m7) / 2
        out8.append(z8.float())
        out7.append(z7.float())
    return torch.cat(out8).cpu(), torch.cat(out7).cpu()


def recalls(pred, y, classes):
    return [(pred[y == c] == c).float().mean().item() if (y == c).any() else math.nan for c in range(classes)]


def ece(p, y, bins=15):
    """Expected calibration error over bins of equal count."""
    conf, pred = p.max(1)
    order = conf.argsort()
    right = (pred == y).float()[order]
    parts = zip(conf[order].tensor_split(bins), right.tensor_split(bins))
    return sum(len(c) / len(p) * abs(c.mean().item() - r.mean().item()) for c, r in parts if len(c))


def coverage_accuracy(p, y, coverage=0.8):
    """Accuracy over the most confident share of the pictures."""
    conf, pred = p.max(1)
    keep = conf.argsort(descending=True)[: round(coverage * len(p))]
    return (pred[keep] == y[keep]).float().mean().item()


def report(z8, z7, d, adjust8=lambda z: z, adjust7=lambda z: z):
    """Every figure on one split from raw logits; the `adjust` functions calibrate."""
    out = {}

    def one(name, z, y, k):
        p = F.softmax(z, 1)
        pred = p.argmax(1)
        rec = recalls(pred, y, k)
        known = [r for r in rec if not math.isnan(r)]
        out[name] = dict(
            n=len(y), accuracy=(pred == y).float().mean().item(), uar=sum(known) / len(known), recalls=rec,
            ece=ece(p, y), nll=F.cross_entropy(z, y).item(), accuracy_at_80=coverage_accuracy(p, y),
        )

    z8, z7 = adjust8(z8), adjust7(z7)
    one("fer2013", z7[d.use7], d.y7[d.use7], 7)
    five = torch.tensor(FIVE)
    m = d.use7 & torch.isin(d.y7, five)
    place = torch.full((7,), -1).scatter(0, five, torch.arange(5))
    one("fer2013-5", z7[m][:, five], place[d.y7[m]], 5)
    one("ferplus", z8[d.majority8], d.y8[d.majority8], 8)
    one("ferplus-argmax", z8[d.argmax8], d.y8[d.argmax8], 8)
    return out


def brief(r):
    rare = r["ferplus"]["recalls"]
    return (
        f"fer2013 {r['fer2013']['accuracy']:.4f} five {r['fer2013-5']['accuracy']:.4f} "
        f"ferplus {r['ferplus']['accuracy']:.4f} uar {r['ferplus']['uar']:.3f} argmax {r['ferplus-argmax']['accuracy']:.4f} "
        f"disgust {rare[5]:.2f} contempt {rare[7]:.2f} nll {r['fer2013']['nll']:.3f} {r['ferplus']['nll']:.3f} ece {r['fer2013']['ece']:.3f} {r['ferplus']['ece']:.3f}"
    )
