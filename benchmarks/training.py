"""An epoch of training the head of weak supervision: from kept features, and as a naive loop with the trunk in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import OURS, Options, Side, Timing, dataset_of, photographs, repeat

IMAGES, EPOCHS = 64, 5
BATCHES = 1  # of the naive loop's epoch


def _setup(options: Options, engine: str = "auto"):
    """Profile, features of the training images (not kept yet), at the study's own settings."""
    from wsl.network.features import Features
    from wsl.network.trunk import load_trunk
    from wsl.profile import load_profile

    profile = load_profile("voc-sample")
    if options.small:
        profile = replace(profile, canvas=128)
    dataset = dataset_of(photographs(options), IMAGES)
    return profile, Features(load_trunk(profile.trunk, engine=engine), dataset, profile.canvas)


def ours(options: Options) -> Timing:
    """Trainings of a few epochs: the share of an epoch in each."""
    from wsl.network.engines import one_pool
    from wsl.systems.train import train

    profile, features = _setup(options)
    with one_pool():
        kept = features.keep(Path(options.folder) / "features", profile.feature_sides(["weak_sup"]), progress=False)
        few = replace(profile, epochs=EPOCHS)
        return repeat(lambda: train(few, "weak_sup", 0, kept, progress=False)).scaled(1 / EPOCHS, "features already kept")


def keeping(options: Options) -> Timing:
    """What ours does once, before all epochs and all systems."""
    from wsl.network.engines import one_pool

    profile, features = _setup(options)
    sides = profile.feature_sides(["weak_sup"])

    def run() -> None:
        with TemporaryDirectory(dir=options.folder) as folder:
            features.keep(Path(folder) / "features", sides, progress=False)

    with one_pool():
        timing = repeat(run, most=1)
    return timing.scaled(1 / profile.epochs, f"a {profile.epochs}th of it: the share of an epoch")


def naive(options: Options) -> Timing:
    """Decode, trunk (frozen, PyTorch), head, loss on all cells, step: for each mini-batch anew."""
    import torch

    from wsl.network.model import Adaptation, multilabel_loss

    profile, features = _setup(options, "torch")
    trunk, dataset, batch = features.trunk, features.dataset, profile.batch
    head = Adaptation(trunk.channels, len(dataset.classes), profile.hidden)
    optimizer = torch.optim.AdamW(head.parameters(), profile.learning_rate)
    labels, sides = torch.from_numpy(dataset.labels).float(), profile.feature_sides(["weak_sup"])

    def run() -> None:
        for side in sides:  # an epoch draws each of them as often
            for (maps,) in features.batches([range(batch)] * BATCHES, [[side]] * BATCHES):
                loss = multilabel_loss(head(maps.float()).amax((2, 3)), labels[:batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    steps = IMAGES // batch
    timing = repeat(run, budget=40, most=3)
    return timing.scaled(steps / (BATCHES * len(sides)), f"extrapolated from {BATCHES} of {steps} mini-batches, at each scale")


def sides(options: Options) -> list[Side]:
    measure = f"an epoch over {IMAGES} photographs"
    found = {OURS: ours, "keeping the features, once": keeping, "naive loop, trunk in it": naive}
    return [Side(measure, name, run) for name, run in found.items()]
