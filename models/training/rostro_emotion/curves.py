"""The learning curve of a run as a picture: `python -m rostro_emotion curves --run runs/a --out curves.png`."""
import json
from pathlib import Path


def add_arguments(p):
    p.add_argument("--run", required=True)
    p.add_argument("--out", required=True)


def main(a):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    log = json.loads((Path(a.run) / "log.json").read_text())
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    # The clock may run out before the first batch of an epoch.
    learnt = [row for row in log if row["loss8"] > 0]
    left.plot([row["epoch"] for row in learnt], [row["loss8"] for row in learnt], label="FER+ votes")
    left.plot([row["epoch"] for row in learnt], [row["loss7"] for row in learnt], label="FER2013")
    left.set_title("training loss (augmented, mixed)")
    measured = [row for row in log if "valid" in row]
    for part, style in (("valid", "-"), ("held", ":")):
        for name in ("fer2013", "ferplus", "ferplus-argmax"):
            right.plot([row["epoch"] for row in measured], [100 * row[part][name]["accuracy"] for row in measured], style, label=f"{name}, {part}")
    right.set_title("accuracy of the smoothed weights, one look, %")
    for axis in (left, right):
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(a.out, dpi=110)
