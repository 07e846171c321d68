"""What a live face can look like to the net, drawn for a whole batch at once.

The live aligner frames a face from five landmarks: what remains is some shift, scale and rotation, the light
of the room, the sharpness of the camera, and things in front of the face.
"""
import math

import torch
import torch.nn.functional as F

VIEW = 44 / 48  # share of the frame that is looked at: leaves room to shift


def normalise(x):
    """Per-picture standardisation of grey 0..255; the 8 keeps flat pictures flat."""
    mean = x.mean((2, 3), keepdim=True)
    std = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
    return (x - mean) / (std + 8.0)


def crop(x):
    """The middle of the frame that the net looks at, as the exported graph cuts it."""
    edge = round(int(x.shape[-1]) * (1 - VIEW) / 2)
    return x[..., edge:-edge, edge:-edge]


def augment(x, size, g):
    """uint8 [n,1,48,48] -> normalised float [n,1,size,size] of a view about as wide as `crop`'s."""
    n, dev = x.shape[0], x.device

    def r(a, b):
        return torch.rand(n, generator=g, device=dev) * (b - a) + a

    def wide(v):
        return v.view(n, 1, 1, 1)

    angle, scale, aspect = r(-14, 14) * math.pi / 180, VIEW * r(0.85, 1.15), torch.exp(r(-0.08, 0.08))
    flip = (r(0, 1) < 0.5).float() * 2 - 1
    c, s = torch.cos(angle), torch.sin(angle)
    shift_x, shift_y, shear = r(-0.14, 0.14), r(-0.14, 0.14), r(-0.1, 0.1)
    theta = torch.stack([flip * c * scale * aspect, -s * scale + shear, shift_x, flip * s * scale, c * scale / aspect, shift_y], 1)
    grid = F.affine_grid(theta.view(n, 2, 3), [n, 1, size, size], align_corners=False)
    y = F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    soft = F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="replicate"), 3, 1)
    y = y + wide(torch.where(r(0, 1) < 0.4, r(-0.5, 1.0), torch.zeros(n, device=dev))) * (soft - y)  # sharpen .. blur
    y = 255 * (y / 255).clamp(0, 1) ** wide(torch.exp(r(-0.4, 0.4)))
    y = normalise(y) * wide(r(0.8, 1.2)) + wide(r(-0.25, 0.25))
    at = torch.arange(size, device=dev).float()[None]
    h, w = (r(0.08, 0.36) * size).view(n, 1), (r(0.08, 0.36) * size).view(n, 1)
    cy, cx = (r(0, 1) * size).view(n, 1), (r(0, 1) * size).view(n, 1)
    rows = ((at - cy).abs() < h / 2) & (r(0, 1) < 0.5).view(n, 1)
    cols = (at - cx).abs() < w / 2
    return y.masked_fill((rows[:, :, None] & cols[:, None, :])[:, None], 0.0)


def mixup(x, targets, masks, share, alpha, g, rng):
    """Blends a `share` of the batch with other pictures of it; targets and masks are blended alike."""
    n, dev = len(x), x.device
    lam = torch.from_numpy(rng.beta(alpha, alpha, n)).float().to(dev)
    lam = torch.maximum(lam, 1 - lam)
    lam = torch.where(torch.rand(n, generator=g, device=dev) < share, lam, torch.ones_like(lam))
    other = torch.randperm(n, generator=g, device=dev)
    mixed = x * lam.view(n, 1, 1, 1) + x[other] * (1 - lam).view(n, 1, 1, 1)
    out = []
    for t, m in zip(targets, masks):  # a masked-out half keeps no weight in the loss
        own, its = lam * m, (1 - lam) * m[other]
        out.append(t * own[:, None] + t[other] * its[:, None])
    return mixed, out
