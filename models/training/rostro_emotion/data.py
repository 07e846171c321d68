"""FER+ / FER2013 pictures with their labels, as tensors.

A split is an `.npz` with `images` uint8 [n,48,48], `votes` uint8 [n,10] (FER+ order, then unknown and
not-a-face) and `fer2013` uint8 [n] (FER2013 order, 255 = not known).
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

FERPLUS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
FER2013 = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
FIVE = [0, 3, 4, 5, 6]  # of FER2013: anger, happiness, sadness, surprise, neutral
NEAR_COPY_RMS = 4.0  # grey levels, over the 12x12 block means


@dataclass
class Split:
    """Pictures and every reading of their labels. `use8`, `use7` mask what a head may learn from."""

    x: torch.Tensor  # uint8 [n,1,48,48]
    p8: torch.Tensor  # vote distribution over the eight classes, single votes removed
    use8: torch.Tensor  # the winning vote is one of the eight
    y8: torch.Tensor  # largest vote, ties to the earlier class
    argmax8: torch.Tensor  # counted under FER+ "argmax"
    majority8: torch.Tensor  # counted under FER+ "majority": winner has more than half of the kept votes
    y7: torch.Tensor
    use7: torch.Tensor
    t7: torch.Tensor | None = None  # training target of the FER2013 head

    def __len__(self):
        return len(self.x)

    def take(self, index):
        return Split(**{k: (None if v is None else v[index]) for k, v in vars(self).items()})

    def to(self, device):
        return Split(**{k: (None if v is None else v.to(device)) for k, v in vars(self).items()})


def load(path):
    """Reads one `.npz`."""
    d = np.load(Path(path))
    raw = d["votes"].astype(np.float32)
    kept = np.where(raw <= 1, 0, raw)  # FER+ protocol: a single vote is an outlier
    winner, eight = kept.argmax(1), kept[:, :8]
    use8 = (winner < 8) & (eight.sum(1) > 0)
    fer = d["fer2013"].astype(np.int64)
    t = torch.from_numpy
    return Split(
        x=t(np.ascontiguousarray(d["images"])).unsqueeze(1),
        p8=t(eight / np.maximum(eight.sum(1, keepdims=True), 1)),
        use8=t(use8),
        y8=t(raw.argmax(1).clip(0, 7)),
        argmax8=t(raw.argmax(1) < 8),
        majority8=t(use8 & (kept.max(1) > 0.5 * kept.sum(1))),
        y7=t(np.where(fer < 7, fer, 0)),
        use7=t(fer < 7),
    )


def _thumbnails(x):
    return torch.nn.functional.avg_pool2d(x.float(), 4).flatten(1)


def near_copies(a, b):
    """Mask over the pictures of `a` that are a near-copy of some picture of `b`."""
    p, q = _thumbnails(a.x), _thumbnails(b.x)
    out = torch.zeros(len(p), dtype=torch.bool)
    for i in range(0, len(p), 2048):
        d2 = torch.cdist(p[i : i + 2048], q).square() / p.shape[1]
        out[i : i + 2048] = d2.min(1).values < NEAR_COPY_RMS**2
    return out


def fer2013_targets(train, blend):
    """Targets of the FER2013 head: its own label, blended with what such votes are usually called.

    FER2013's single labels are noisy (people agree on about two thirds of them). The part `blend` of the
    target is the mean FER2013 label of pictures with these votes: it smooths towards plausible classes
    instead of towards all seven alike, and stands alone where the FER2013 label is not known.
    """
    hot = torch.nn.functional.one_hot(train.y7, 7).float()
    both = train.use7 & train.use8
    table = train.p8[both].T @ hot[both]
    table = table / table.sum(1, keepdim=True)
    usual = train.p8 @ table
    w = torch.where(train.use8, blend, 0.0) * torch.ones(len(train))
    w = torch.where(train.use7, w, 1.0)[:, None]
    return (1 - w) * hot + w * usual


def prepare(train_path, valid_path, seed, held_out=0.1, blend=0.3):
    """The training part, the calibration part (a seeded tenth of the training split) and the valid split.

    Near-copies of valid pictures leave the training split; calibration pictures with a near-copy in the
    training part leave the calibration part.
    """
    train, valid = load(train_path), load(valid_path)
    copies = near_copies(train, valid)
    train = train.take(~copies)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    n = round(held_out * len(train))
    held, train = train.take(order[:n]), train.take(order[n:].sort().values)
    twins = near_copies(held, train)
    held = held.take(~twins)
    train = train.take(train.use7 | train.use8)
    train.t7 = fer2013_targets(train, blend)
    counts = dict(near_copies=int(copies.sum()), train=len(train), held_out=len(held), held_out_copies=int(twins.sum()))
    return train, held, valid, counts


def sampling_weights(train, gamma):
    """Weight of each picture so that rare emotions are seen more often: sum over classes of p(c) * mass(c)^-gamma.

    gamma 0 leaves the split as it is, 1 would show every class equally often.
    """
    p = torch.where(train.use8[:, None], train.p8, 0)
    mass = p.sum(0) / p.sum()
    w = (p * mass.pow(-gamma)).sum(1)
    w[~train.use8] = w[train.use8].median()
    seen = (w[:, None] * p).sum(0)
    return w / w.sum(), mass, seen / seen.sum()


def draw(weights, generator):
    """One epoch's picture numbers: systematic sampling, so each picture comes floor or ceil of its expected times."""
    n = len(weights)
    u = torch.rand(1, generator=generator, dtype=torch.float64)
    steps = (torch.arange(n, dtype=torch.float64) + u) / n
    index = torch.searchsorted(weights.double().cumsum(0), steps).clamp(max=n - 1)
    return index[torch.randperm(n, generator=generator)]
