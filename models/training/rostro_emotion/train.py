"""Training: `python -m rostro_emotion train --run runs/a --until 05:40`.

On a CPU two single-threaded processes each take half of every batch and average their gradients once a step
through shared memory: under other load this loses far less than one process whose every layer waits for all
threads. On a GPU one process takes the whole batch.
"""
import copy
import json
import math
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from . import data, metrics
from .augment import augment, mixup
from .nets import NETS, multiply_adds, parameters


def learning_rate(peak, q, warm=0.06):
    """Linear warm-up, then half a cosine to zero; q is the share of the schedule that is done."""
    if q < warm:
        return peak * (0.05 + 0.95 * q / warm)
    return peak * (0.5 * (1 + math.cos(math.pi * (q - warm) / (1 - warm))) + 1e-3)


class Schedule:
    """Progress 0..1, by the clock (`--until`, `--minutes`) or by epochs (`--epochs`)."""

    def __init__(self, a, done=0.0):
        self.epochs, self.begun, self.start = a.epochs, done, time.time()
        if a.until:
            hour, minute = map(int, a.until.split(":"))
            end = datetime.now().replace(hour=hour, minute=minute, second=0, microsecond=0)
            self.end = (end if end > datetime.now() else end + timedelta(days=1)).timestamp()
        else:
            self.end = self.start + 60 * (a.minutes or 0)

    def progress(self, epoch, share):
        if self.epochs:
            return (epoch + share) / self.epochs
        return self.begun + (1 - self.begun) * (time.time() - self.start) / max(self.end - self.start, 1e-6)


class Shared:
    """What the processes of one run hold in common: gradients (double-buffered), progress, a barrier."""

    def __init__(self, world, count):
        self.grad = torch.zeros(2, world, count).share_memory_()
        self.progress = torch.zeros(2, dtype=torch.float64).share_memory_()
        self.barrier = mp.get_context("spawn").Barrier(world)


def loss_of(z, target):
    """Cross-entropy with a soft target whose rows may sum to less than one (masked pictures)."""
    return -(target * F.log_softmax(z, 1)).sum() / target.sum().clamp(min=1)


def learn_from(teacher, train, share):
    """Blends every target with what an earlier run believes of the picture and its mirror image.

    Labels of one person are noisy; a net that has seen many such faces is wrong in other places than they are.
    """
    net = NETS[teacher["args"]["net"]]().to(memory_format=torch.channels_last)
    net.load_state_dict(teacher["ema"])
    z8, z7 = metrics.logits(net, train.x, flip=True, bf16=teacher["args"]["bf16"])
    train.p8 = torch.lerp(train.p8, z8.softmax(1), share)
    train.t7 = torch.lerp(train.t7, z7.softmax(1), share)


def save(path, **what):
    part = path.with_suffix(".part")
    torch.save(what, part)
    part.replace(path)


def work(rank, a, shared):
    world = a.processes
    if a.device == "cpu":
        torch.set_num_threads(1)
    run = Path(a.run)
    say = print if rank == 0 else (lambda *_, **__: None)
    train, held, valid, counts = data.prepare(a.train, a.valid, a.seed, a.held_out, a.blend)
    weights, mass, seen = data.sampling_weights(train, a.gamma)
    if a.teacher:
        learn_from(torch.load(a.teacher, map_location="cpu", weights_only=False), train, a.distil)
    train, pin = train.to(a.device), dict(device=a.device, memory_format=torch.channels_last)
    torch.manual_seed(a.seed)
    net = NETS[a.net]().to(**pin)
    ema = copy.deepcopy(net).eval()
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    opt = torch.optim.SGD([dict(params=decayed, weight_decay=a.decay), dict(params=plain, weight_decay=0)], lr=a.lr, momentum=0.9, nesterov=True)
    epoch, step, q, log = 0, 0, 0.0, []
    last = run / "last.pt"
    if last.exists():
        ck = torch.load(last, map_location=a.device, weights_only=False)
        net.load_state_dict(ck["net"]), ema.load_state_dict(ck["ema"]), opt.load_state_dict(ck["opt"])
        epoch, step, q, log = ck["epoch"], ck["step"], ck["q"], ck["log"]
        say(f"resumed after epoch {epoch}, {q:.0%} of the schedule", flush=True)
    say(json.dumps(dict(net=a.net, parameters=parameters(net), multiply_adds=multiply_adds(net.cpu() if a.device != "cpu" else net), **counts, valid=len(valid), mass=mass.tolist(), seen=seen.tolist())), flush=True)
    net.to(**pin)
    schedule = Schedule(a, q)
    live, smooth = list(net.parameters()), list(ema.parameters())
    live_stats = [b for b in net.buffers() if b.is_floating_point()]
    smooth_stats = [b for b in ema.buffers() if b.is_floating_point()]
    sizes = [p.numel() for p in live]
    per = a.batch // world
    while q < 1:
        net.train()
        began, cpu, total, batches = time.time(), time.process_time(), torch.zeros(2), 0
        order = data.draw(weights, torch.Generator().manual_seed(a.seed * 100_003 + epoch))  # the same in every process
        own = a.seed * 100_003 + epoch * 16 + rank + 1
        g, rng = torch.Generator(device=a.device).manual_seed(own), np.random.default_rng(own)
        torch.manual_seed(own)
        steps = len(order) // a.batch
        for i in range(steps):
            j = order[i * a.batch + rank * per : i * a.batch + (rank + 1) * per].to(a.device)
            x = augment(train.x[j], a.small if q < a.grow_at else a.size, g)
            share = a.mixup if q < a.mixup_until else 0.0
            x, (t8, t7) = mixup(x, (train.p8[j], train.t7[j]), (train.use8[j].float(), torch.ones(len(j), device=a.device)), share, 0.4, g, rng)
            with torch.autocast(a.device, torch.bfloat16, enabled=a.bf16):
                z8, z7 = net(x.contiguous(memory_format=torch.channels_last))
            l8, l7 = loss_of(z8.float(), t8), loss_of(z7.float(), t7)
            (l8 + l7).backward()
            if world > 1:
                side = step % 2
                shared.grad[side, rank] = torch.cat([p.grad.reshape(-1) for p in live])
                if rank == 0:
                    shared.progress[side] = schedule.progress(epoch, i / steps)
                shared.barrier.wait(timeout=600)
                q = shared.progress[side].item()
                mean = shared.grad[side].mean(0)
                for p, v in zip(live, mean.split(sizes)):
                    p.grad = v.view_as(p)
            else:
                q = schedule.progress(epoch, i / steps)
            if q >= 1:
                break
            for group in opt.param_groups:
                group["lr"] = learning_rate(a.lr, q)
            opt.step()
            opt.zero_grad(set_to_none=True)
            step += 1
            keep = min(a.ema, (1 + step) / (20 + step))
            with torch.no_grad():
                torch._foreach_lerp_(smooth, live, 1 - keep)
                torch._foreach_lerp_(smooth_stats, live_stats, 1 - keep)
            total += torch.tensor([l8.item(), l7.item()])
            batches += 1
            if a.steps and step >= a.steps:
                q = 1.0
                break
        epoch += 1
        if a.epochs:
            q = max(q, epoch / a.epochs)
        if rank:
            continue
        row = dict(epoch=epoch, step=step, q=q, seconds=time.time() - began, cpu=time.process_time() - cpu, loss8=(total / max(batches, 1))[0].item(), loss7=(total / max(batches, 1))[1].item(), lr=learning_rate(a.lr, min(q, 1)))
        if epoch % a.every == 0 or q >= 1:
            for name, part in (("held", held), ("valid", valid)):
                row[name] = metrics.report(*metrics.logits(ema, part.x.to(a.device), bf16=a.bf16), part)
        log.append(row)
        save(last, net=net.state_dict(), ema=ema.state_dict(), opt=opt.state_dict(), epoch=epoch, step=step, q=min(q, 1.0), log=log, args=vars(a), counts=counts, mass=mass, seen=seen)
        (run / "log.json").write_text(json.dumps(log))
        say(f"{datetime.now():%H:%M:%S} epoch {epoch} {row['seconds']:.0f}s cpu {row['cpu']:.0f} q {q:.3f} lr {row['lr']:.4f} loss {row['loss8']:.4f} {row['loss7']:.4f}", flush=True)
        for name in ("held", "valid"):
            if name in row:
                say(f"   {name:5} {metrics.brief(row[name])}", flush=True)


def add_arguments(p):
    p.add_argument("--run", required=True, help="folder of the run; continues where it stopped")
    p.add_argument("--train", default="../../../shared/data/expressions/ferplus_train.npz")
    p.add_argument("--valid", default="../../../shared/data/expressions/ferplus_valid.npz")
    p.add_argument("--net", choices=sorted(NETS), default="rostro")
    p.add_argument("--epochs", type=int, default=0, help="schedule by epochs")
    p.add_argument("--minutes", type=float, default=0, help="schedule by the clock")
    p.add_argument("--until", help="schedule by the clock: HH:MM, local time")
    p.add_argument("--steps", type=int, default=0, help="stop after so many steps (smoke run)")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--processes", type=int, default=0, help="default: 2 on a CPU, 1 on a GPU")
    p.add_argument("--batch", type=int, default=192)
    p.add_argument("--lr", type=float, default=0.12)
    p.add_argument("--decay", type=float, default=5e-4)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--gamma", type=float, default=0.5, help="how far sampling is balanced: 0 not at all, 1 fully")
    p.add_argument("--blend", type=float, default=0.3, help="part of the FER2013 target taken from the votes")
    p.add_argument("--teacher", help="last.pt of an earlier run, whose beliefs are blended into the targets")
    p.add_argument("--distil", type=float, default=0.4, help="part of every target taken from the teacher")
    p.add_argument("--mixup", type=float, default=0.4, help="share of pictures that are mixed with another")
    p.add_argument("--mixup-until", type=float, default=0.85)
    p.add_argument("--size", type=int, default=44)
    p.add_argument("--small", type=int, default=36, help="input size of the first part of the schedule")
    p.add_argument("--grow-at", type=float, default=0.4)
    p.add_argument("--held-out", type=float, default=0.1)
    p.add_argument("--every", type=int, default=4, help="measure every so many epochs")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--fp32", dest="bf16", action="store_false")


def main(a):
    if not (a.epochs or a.minutes or a.until or a.steps):
        sys.exit("say how long: --epochs, --minutes, --until or --steps")
    if a.steps and not (a.epochs or a.minutes or a.until):
        a.minutes = 60
    a.processes = a.processes or (2 if a.device == "cpu" else 1)
    Path(a.run).mkdir(parents=True, exist_ok=True)
    if a.processes == 1:
        return work(0, a, None)
    shared = Shared(a.processes, parameters(NETS[a.net]()))
    ranks = [mp.get_context("spawn").Process(target=work, args=(r, a, shared)) for r in range(a.processes)]
    for p in ranks:
        p.start()
    for p in ranks:
        p.join()
    if any(p.exitcode for p in ranks):
        sys.exit("a training process failed")
