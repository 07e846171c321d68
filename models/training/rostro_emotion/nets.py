"""The nets. Each maps normalised grey [n,1,h,w] to (FER+ logits [n,8], FER2013 logits [n,7])."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv(nn.Sequential):
    """Convolution, batch norm and, unless `act` is off, ReLU."""

    def __init__(self, cin, cout, k=3, stride=1, act=True):
        layers = [nn.Conv2d(cin, cout, k, stride, k // 2, bias=False), nn.BatchNorm2d(cout)]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if act else []))


class Excite(nn.Module):
    """Channel weights from the global mean."""

    def __init__(self, c, r=8):
        super().__init__()
        self.squeeze, self.expand = nn.Conv2d(c, c // r, 1), nn.Conv2d(c // r, c, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.expand(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class Residual(nn.Module):
    def __init__(self, c, excite=False):
        super().__init__()
        self.a, self.b = Conv(c, c), Conv(c, c, act=False)
        self.excite = Excite(c) if excite else nn.Identity()
        nn.init.zeros_(self.b[1].weight)  # starts as the identity

    def forward(self, x):
        return F.relu(x + self.excite(self.b(self.a(x))))


class Heads(nn.Module):
    def __init__(self, c, drop):
        super().__init__()
        self.drop, self.ferplus, self.fer2013 = nn.Dropout(drop), nn.Linear(c, 8), nn.Linear(c, 7)

    def forward(self, f):
        f = self.drop(f)
        return self.ferplus(f), self.fer2013(f)


class Rostro(nn.Module):
    """Ours: three strides to 6x6, no work at full width, where memory and not arithmetic would be the limit."""

    def __init__(self, channels=(32, 96, 160), blocks=(0, 1, 2), drop=0.2):
        super().__init__()
        layers, cin = [], 1
        for stage, (c, n) in enumerate(zip(channels, blocks)):
            layers.append(Conv(cin, c, 5 if stage == 0 else 3, 2))
            layers += [Residual(c, excite=stage == 2) for _ in range(n)]
            cin = c
        self.trunk, self.heads = nn.Sequential(*layers), Heads(cin, drop)

    def forward(self, x):
        return self.heads(self.trunk(x).mean((2, 3)))


class ResNet9(nn.Module):
    """The usual ResNet9 (two residual blocks, four poolings), for comparison; 6.6 M parameters."""

    def __init__(self, drop=0.2):
        super().__init__()
        pool = nn.MaxPool2d(2)
        self.trunk = nn.Sequential(
            Conv(1, 64), Conv(64, 128), pool, Residual(128), Conv(128, 256), pool, Conv(256, 512), pool, Residual(512)
        )
        self.heads = Heads(512, drop)

    def forward(self, x):
        return self.heads(self.trunk(x).amax((2, 3)))


class Cnn7(nn.Module):
    """Seven weighted layers in VGG's manner: six convolutions in three pairs, then the heads; for comparison."""

    def __init__(self, channels=(64, 128, 256), drop=0.4):
        super().__init__()
        layers, cin = [], 1
        for c in channels:
            layers += [Conv(cin, c), Conv(c, c), nn.MaxPool2d(2), nn.Dropout(drop / 2)]
            cin = c
        self.trunk, self.heads = nn.Sequential(*layers), Heads(cin, drop)

    def forward(self, x):
        return self.heads(self.trunk(x).mean((2, 3)))


NETS = {"rostro": Rostro, "resnet9": ResNet9, "cnn7": Cnn7}


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def multiply_adds(net, size=44):
    """Multiply-adds of one picture, convolutions and linear layers."""
    total = [0]

    def count(m, _, out):
        if isinstance(m, nn.Conv2d):
            total[0] += out[0].numel() * m.in_channels // m.groups * m.kernel_size[0] * m.kernel_size[1]
        else:
            total[0] += m.in_features * m.out_features

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    training = net.training
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, 1, size, size))
    for h in hooks:
        h.remove()
    net.train(training)
    return total[0]
