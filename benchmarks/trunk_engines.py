"""How closely, and how much faster, does the trunk on OpenVINO follow the PyTorch reference in single precision?

    python benchmarks/trunk_engines.py runs scenes weak_sup [--images 200] [--reference openvino] [--int8 100]

Scores of a trained head on the same pictures, in one process: through the reference in float32, and through OpenVINO in the
arithmetic of this machine. Prints the largest and the median difference of a score beside the scores' spread, the difference of
both mAPs, and the ratio of the times. OpenVINO in float32 follows PyTorch to the sixth digit and takes half its time: a
reference for many pictures. With --int8 the second is OpenVINO in whole numbers of eight bits, quantized by NNCF (`pip install
nncf`) on so many training pictures.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from wsl.evaluation.evaluate import evaluate_table
from wsl.evaluation.runs import run_folder
from wsl.network.features import Canvases, Features
from wsl.network.model import load_head
from wsl.network.trunk import Trunk, load_trunk
from wsl.profile import load_profile
from wsl.systems.predict import Tester, predict


def quantize(trunk: Trunk, pictures: Canvases, count: int) -> None:
    """Put whole numbers of eight bits in place of the network's weights and maps, as `count` of the pictures ask for."""
    import nncf

    canvases = nncf.Dataset([pictures[i][0][None] for i in range(count)])
    # NNCF's correction of the bias fails on this trunk's depthwise convolutions (3.4.0: "cannot reshape array")
    settings = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
    trunk.engine.network = nncf.quantize(trunk.engine.network, canvases, subset_size=count, advanced_parameters=settings)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("runs", type=Path)
    p.add_argument("profile")
    p.add_argument("system")
    p.add_argument("--root")
    p.add_argument("--images", type=int, default=200)
    p.add_argument("--reference", choices=("torch", "openvino"), default="torch", help="in float32")
    p.add_argument("--int8", type=int, metavar="N", help="quantize the other, on N training pictures")
    args = p.parse_args()
    profile = load_profile(args.profile, root=args.root)
    dataset = profile.dataset("val", args.runs)
    dataset = dataset.subset(np.arange(min(args.images, len(dataset))))
    head, _ = load_head(run_folder(args.runs, profile.name, profile.trunk, args.system, 0) / "head.safetensors")
    testers = {"run": Tester(head, profile.test_scales)}
    reference = load_trunk(profile.trunk, engine=args.reference, arithmetic="float32")
    trunks = [reference, load_trunk(profile.trunk, engine="openvino")]
    if args.int8:
        quantize(trunks[1], Canvases(profile.dataset("train", args.runs), trunks[1], profile.canvas), args.int8)
    tables, seconds = [], []
    for trunk in trunks:
        features = Features(trunk, dataset, profile.canvas)
        for _ in features.batches([[0]], [[round(s * profile.canvas) for s in profile.test_scales]]):
            pass  # compile before the clock starts
        start = time.perf_counter()
        tables.append(predict(features, testers)["run"])
        seconds.append(time.perf_counter() - start)
    before, after = (f"{trunk.engine.name} in {trunk.arithmetic}" for trunk in trunks)
    after = f"{trunks[1].engine.name} in int8" if args.int8 else after
    a, b = (table["score"].to_numpy() for table in tables)
    difference = np.abs(a - b)
    print(f"{args.profile}, {len(dataset)} images, {len(a)} scores of spread {a.std():.3f}")
    print(f"  |score difference|: median {np.median(difference):.4f}, largest {difference.max():.4f}")
    for name in ("ap", "location_ap"):
        values = [100 * evaluate_table(table)[name].iloc[-1] for table in tables]
        moved = values[1] - values[0]
        print(f"  {name:12s} mean over classes: {before} {values[0]:.2f}, {after} {values[1]:.2f}: {moved:+.2f} points")
    slow, fast = seconds
    print(f"  time: {before} {slow:.1f} s, {after} {fast:.1f} s: {slow / fast:.1f} times faster")


if __name__ == "__main__":
    main()
