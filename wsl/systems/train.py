"""Training the adaptation layers from image labels (Section 4), and with masked pooling (Section 5).

Each mini-batch of 16 pictures is seen at one scale. Runs under `torchrun` too: the mini-batch is shared out
among the processes, so that any number of them takes the same steps: they average the gradients, and a loss is a mean
over pictures, or over patches of which each picture has as many.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from wsl.data.geometry import side_at
from wsl.errors import StudyError
from wsl.network.features import Features, Side
from wsl.network.model import Adaptation, save_head
from wsl.profile import Profile, method_of
from wsl.systems.checkpoint import identity, load_checkpoint, save_checkpoint
from wsl.systems.losses import Batch, Loss, loss_of


@dataclass(frozen=True)
class Process:
    """One of the processes that train together."""

    rank: int = 0
    world: int = 1

    @classmethod
    @contextmanager
    def join(cls) -> Iterator[Process]:
        """This process among those that torchrun started, on a GPU of its own; alone without torchrun.

        Comes before the trunk is loaded, which goes to this process's GPU.
        """
        world = int(os.environ.get("WORLD_SIZE", 1))
        if world == 1:
            yield ALONE
            return
        gpus, place = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
        if gpus:
            if place >= gpus:
                raise StudyError(f"process {place} has no GPU: there are {gpus}; start at most {gpus} with --nproc-per-node")
            torch.cuda.set_device(place)
        torch.distributed.init_process_group("nccl" if gpus else "gloo")
        try:
            yield cls(torch.distributed.get_rank(), world)
        finally:
            torch.distributed.destroy_process_group()

    def mean(self, value: Tensor) -> float:
        """The mean of a number over all processes."""
        if self.world > 1:
            torch.distributed.all_reduce(value)
        return value.item() / self.world


ALONE = Process()


def training_sides(profile: Profile, system: str, generator: np.random.Generator, steps: int) -> list[Side]:
    """One input side for each mini-batch: from the grid, or s ~ U(min, max) where features are not kept (D1)."""
    if method_of(system) == "full_images":
        return [None] * steps
    scales = profile.train_scales
    if profile.cache_features or len(scales) == 1:
        drawn = generator.choice(scales, steps)
    else:
        drawn = generator.uniform(min(scales), max(scales), steps)
    return [side_at(s, profile.canvas) for s in drawn]


def standardise(head: Adaptation, features: Features, side: Side, generator: np.random.Generator) -> None:
    """Mean and spread of each feature channel over up to 256 training pictures (D11)."""
    count = len(features.dataset)
    chosen = np.sort(generator.permutation(count)[:256])
    total, square, cells = 0.0, 0.0, 0
    batches = np.array_split(chosen, math.ceil(len(chosen) / 16))
    for (maps,) in features.batches(batches, [[side]] * len(batches)):
        total = total + maps.double().sum((0, 2, 3))
        square = square + maps.double().square().sum((0, 2, 3))
        cells += maps.shape[0] * maps.shape[2] * maps.shape[3]
    mean = total / cells
    std = (square / cells - mean.square()).clamp_min(0).sqrt()
    head.mean.copy_(mean[:, None, None])
    head.std.copy_(torch.where(std > 1e-3 * std.max(), std, std.max())[:, None, None])


def make_optimizer(profile: Profile, head: Adaptation, steps: int) -> tuple[torch.optim.Optimizer, object | None]:
    """The profile's optimiser, and its learning-rate schedule if it has one (D2)."""
    rate, decay = profile.learning_rate, profile.weight_decay
    if profile.optimizer == "sgd":
        return torch.optim.SGD(head.parameters(), rate, momentum=0.9, weight_decay=decay), None
    if profile.optimizer == "adagrad":
        return torch.optim.Adagrad(head.parameters(), rate, weight_decay=decay), None
    optimizer = torch.optim.AdamW(head.parameters(), rate, weight_decay=decay)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)


def mini_batches(
    profile: Profile, system: str, seed: int, epoch: int, features: Features, head: Adaptation, process: Process
) -> Iterator[tuple[Batch, Tensor]]:
    """This process's share of each mini-batch of an epoch, and its feature maps (B, C, n, m).

    Every draw (order, scales, dropout) depends on the seed and the epoch alone.
    """
    draw = np.random.default_rng([seed, epoch])
    noise = torch.Generator().manual_seed(seed * 10_000 + epoch)
    count = len(features.dataset)
    size = min(profile.batch, count)
    order = draw.permutation(count)[: count // size * size].reshape(-1, size)
    sides = training_sides(profile, system, draw, len(order))
    shares = order[:, process.rank :: process.world]
    stream = features.batches(list(shares), [[side] for side in sides])
    for images, side, (maps,) in zip(shares, sides, stream, strict=True):
        yield Batch(images, side, epoch, head.dropout_masks(profile.dropout, noise)), maps


def train_one_epoch(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[tuple[Batch, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    process: Process = ALONE,
    step_done: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """One step of the optimiser for each mini-batch. Returns averages over mini-batches and processes: {"loss": ...}."""
    total, steps = 0.0, 0
    for batch, maps in batches:
        value = loss(model, maps, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        total, steps = total + value.detach().double(), steps + 1  # read after the epoch: reading makes a GPU wait
        step_done()
    return {"loss": process.mean(total) / steps}


def train(
    profile: Profile,
    system: str,
    seed: int,
    features: Features,
    out: Path | None = None,
    record: bool = False,
    progress: bool = True,
    process: Process = ALONE,
) -> tuple[Adaptation, list[float]]:
    """Train one head; returns it and the mean loss of each epoch.

    out: folder for `head.safetensors`, and for a checkpoint after each epoch from which an interrupted training
    resumes; with other settings, pictures or network it starts afresh, in words.
    record: keep the head of every epoch in `out/epochs`, for Figure 1.
    Every draw depends on `seed`, the epoch and, for patches, the picture; not on the number of processes.
    """
    about = about_head(profile, system, seed, features) if out is not None else {}
    profile = profile.system_settings(system)
    if profile.fraction < 1:
        count = max(1, round(profile.fraction * len(features.dataset)))
        features = features.subset(np.sort(np.random.default_rng(seed).permutation(len(features.dataset))[:count]))
        profile = replace(profile, epochs=round(profile.epochs / profile.fraction))
    dataset, device = features.dataset, features.trunk.device
    batch = min(profile.batch, len(dataset))
    if batch % process.world:
        raise StudyError(f"batch = {batch} cannot be shared out among {process.world} processes; choose a divisor")
    steps = len(dataset) // batch
    loss = loss_of(system, profile, seed, features)
    torch.manual_seed(seed)
    head = Adaptation(features.trunk.channels, len(dataset.classes), profile.hidden, profile.kernel, profile.gains).to(device)
    nn.init.constant_(head.cb.bias, profile.last_bias)
    optimizer, schedule = make_optimizer(profile, head, steps * profile.epochs)
    writes = out is not None and process.rank == 0
    parts = {"head": head, "optimizer": optimizer} | ({"schedule": schedule} if schedule is not None else {})
    done, losses = 0, []
    if out is not None:
        of_checkpoint = about["identity"] | {"record": record}  # `evolve` needs the heads of all epochs
        done, losses = load_checkpoint(out / "checkpoint.pt", of_checkpoint, parts, device, process.rank > 0)

    def keep(epoch: int) -> None:
        if record:
            save_head(out / "epochs" / f"{epoch:03d}.safetensors", head, about)
        save_checkpoint(out / "checkpoint.pt", of_checkpoint, epoch, losses, parts)

    if done == 0:
        side = None if method_of(system) == "full_images" else side_at(1.0, profile.canvas)
        standardise(head, features, side, np.random.default_rng([seed, 0]))
    model = DistributedDataParallel(head) if process.world > 1 else head
    if done == 0 and writes:
        shutil.rmtree(out / "epochs", ignore_errors=True)  # of another training
        keep(0)
    quiet = not progress or process.rank > 0
    bar = tqdm(total=profile.epochs * steps, initial=done * steps, desc=f"{system} seed {seed}", disable=quiet)
    for epoch in range(done + 1, profile.epochs + 1):
        batches = mini_batches(profile, system, seed, epoch, features, head, process)
        averages = train_one_epoch(model, loss, batches, optimizer, schedule, process, bar.update)
        if not math.isfinite(averages["loss"]):
            raise StudyError(f"{system} seed {seed}: the loss is no longer finite in epoch {epoch}; lower learning_rate")
        losses.append(averages["loss"])
        bar.set_postfix(loss=f"{averages['loss']:.3f}")
        if writes:
            keep(epoch)
    bar.close()
    if writes:
        save_head(out / "head.safetensors", head, about)
        (out / "checkpoint.pt").unlink(missing_ok=True)
    return head.eval(), losses


def about_head(profile: Profile, system: str, seed: int, features: Features) -> dict:
    """What the file of a head says of it: what testing needs, and the identity of its training."""
    return {
        "classes": list(features.dataset.classes),
        "trunk": features.trunk.name,
        "weights_sha256": features.trunk.weights_sha256,
        "system": system,
        "seed": seed,
        "canvas": profile.canvas,
        "test_scales": list(profile.system_settings(system).test_scales),
        "trained_on": profile.title or features.dataset.name,
        "identity": identity(profile, system, seed, features),
    }
