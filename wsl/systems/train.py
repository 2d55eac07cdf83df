"""Training the adaptation layers from image labels (Section 4), and with masked pooling (Section 5).

Each mini-batch of 16 pictures is seen at one scale. Runs under `torchrun` too: the mini-batch is shared out
among the processes, so that any number of them takes the same steps.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from wsl.data.dataset import Dataset
from wsl.data.geometry import cell_to_image, cells_in_boxes, side_at
from wsl.data.images import extent_on_canvas
from wsl.errors import StudyError
from wsl.network.features import Features, Side
from wsl.network.model import Adaptation, dense_scores, global_max_pool, multilabel_loss, pool, save_head, searched_scores
from wsl.network.trunk import Trunk
from wsl.profile import Profile, method_of
from wsl.systems.patches import patch_loss, sample_patches


@dataclass(frozen=True)
class Process:
    """This process among those that torchrun started; alone without it."""

    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls) -> Process:
        world = int(os.environ.get("WORLD_SIZE", 1))
        if world == 1:
            return cls()
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(torch.distributed.get_rank(), world)

    def mean(self, value: float, device: torch.device) -> float:
        """The mean of a number over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, device=device, dtype=torch.float64)
        torch.distributed.all_reduce(total)
        return total.item() / self.world


def training_sides(profile: Profile, system: str, generator: np.random.Generator, steps: int) -> list[Side]:
    """One input side for each mini-batch: from the grid, or s ~ U(min, max) where features are not kept (D1)."""
    if system == "full_images":
        return [None] * steps
    scales = profile.train_scales
    if profile.cache_features or len(scales) == 1:
        drawn = generator.choice(scales, steps)
    else:
        drawn = generator.uniform(min(scales), max(scales), steps)
    return [side_at(s, profile.canvas) for s in drawn]


def allowed_cells(dataset: Dataset, batch: np.ndarray, side: int, canvas: int, trunk: Trunk) -> Tensor:
    """(B, K, n, m) bool: for a positive class the cells centred in a box of it, for a negative class all."""
    grid = trunk.grid(side)
    allowed = torch.ones(len(batch), len(dataset.classes), grid.cells, grid.cells, dtype=torch.bool)
    for b, image in enumerate(batch):
        width, height = (int(v) for v in dataset.sizes[image])
        w, h = extent_on_canvas((width, height), canvas)
        columns = cell_to_image(grid, side, canvas, w, width, "centre")
        rows = cell_to_image(grid, side, canvas, h, height, "centre")
        own = dataset.boxes.image == image
        for k in np.flatnonzero(dataset.labels[image] > 0):
            boxes = dataset.boxes.xyxy[own & (dataset.boxes.cls == k)]
            allowed[b, k] = torch.from_numpy(cells_in_boxes(columns, rows, boxes))
    return allowed


def pooled_loss(
    model: nn.Module,
    features: Tensor,
    labels: Tensor,
    masks: tuple[Tensor, Tensor] | None,
    how: str = "max",
    allowed: Tensor | None = None,
    push_outside: bool = False,
) -> Tensor:
    """Eq. 1 on pooled score maps. `model` is the head, or DistributedDataParallel around it.

    allowed: masked pooling (system I). push_outside: besides, the best response outside the mask of a positive
    class counts as a negative (system I').
    """
    head = getattr(model, "module", model)
    if how != "max" or head.ca.kernel_size != (1, 1):
        return multilabel_loss(pool(dense_scores(model, features, masks), how), labels)
    maps = head.score_maps(features, masks)
    cells = global_max_pool(maps, allowed)[1]
    if not push_outside:
        return multilabel_loss(searched_scores(model, features, cells, masks), labels)
    best_outside, cells_outside = global_max_pool(maps, ~allowed)
    scores = searched_scores(model, features, torch.cat([cells, cells_outside], 1), masks)
    outside = torch.where((labels > 0) & torch.isfinite(best_outside), -1, 0)
    return multilabel_loss(scores, torch.cat([labels, outside], 1))


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


def train(
    profile: Profile,
    system: str,
    seed: int,
    features: Features,
    out: Path | None = None,
    record: bool = False,
    progress: bool = True,
) -> tuple[Adaptation, list[float]]:
    """Train one head; returns it and the mean loss of each epoch.

    out: folder for `head.safetensors`, and for a checkpoint after each epoch from which an interrupted training
    resumes. record: keep the head of every epoch in `out/epochs`, for Figure 1.
    Every draw (initial weights, order, scales, dropout) depends on `seed` and the epoch alone.
    """
    profile, process = profile.system_settings(system), Process.join()
    if profile.fraction < 1:
        count = max(1, round(profile.fraction * len(features.dataset)))
        features = features.subset(np.sort(np.random.default_rng(seed).permutation(len(features.dataset))[:count]))
        profile = replace(profile, epochs=round(profile.epochs / profile.fraction))
    dataset, trunk = features.dataset, features.trunk
    kind = method_of(system)
    device = trunk.device
    batch = min(profile.batch, len(dataset))
    if batch % process.world:
        raise StudyError(f"batch = {batch} cannot be shared out among {process.world} processes; choose a divisor")
    steps = len(dataset) // batch
    torch.manual_seed(seed)
    head = Adaptation(trunk.channels, len(dataset.classes), profile.hidden, profile.kernel, profile.gains).to(device)
    nn.init.constant_(head.cb.bias, profile.last_bias)
    optimizer, schedule = make_optimizer(profile, head, steps * profile.epochs)
    about = {
        "classes": list(dataset.classes),
        "trunk": trunk.name,
        "weights_sha256": trunk.weights_sha256,
        "system": system,
        "seed": seed,
        "canvas": profile.canvas,
        "test_scales": list(profile.test_scales),
        "trained_on": profile.title or dataset.name,
    }
    state = _resume(out, about, head, optimizer, schedule, device)
    if state["epoch"] == 0:
        side = None if kind == "full_images" else side_at(1.0, profile.canvas)
        standardise(head, features, side, np.random.default_rng([seed, 0]))
    model = DistributedDataParallel(head) if process.world > 1 else head
    labels = torch.from_numpy(dataset.labels).float().to(device)

    def keep(epoch: int) -> None:
        if out is not None and process.rank == 0:
            if record:
                save_head(out / "epochs" / f"{epoch:03d}.safetensors", head, about)
            _checkpoint(out, about, epoch, state["losses"], head, optimizer, schedule)

    if state["epoch"] == 0:
        keep(0)
    quiet = not progress or process.rank > 0
    bar = tqdm(total=profile.epochs * steps, initial=state["epoch"] * steps, desc=f"{system} seed {seed}", disable=quiet)
    for epoch in range(state["epoch"] + 1, profile.epochs + 1):
        draw = np.random.default_rng([seed, epoch])
        noise = torch.Generator().manual_seed(seed * 10_000 + epoch)
        order = draw.permutation(len(dataset))[: steps * batch].reshape(steps, batch)
        sides = training_sides(profile, kind, draw, steps)
        shares = order[:, process.rank :: process.world]
        loss_sum = 0.0
        stream = features.batches(list(shares), [[side] for side in sides])
        for mine, side, (maps,) in zip(shares, sides, stream, strict=True):
            masks = head.dropout_masks(profile.dropout, noise)
            if kind == "object_patches":
                chosen = sample_patches(dataset, mine, side, profile.canvas, trunk, draw)
                loss = patch_loss(model, maps, *(c.to(device) for c in chosen), masks)
            else:
                allowed = None
                if kind.startswith("masked_pool"):
                    allowed = allowed_cells(dataset, mine, side, profile.canvas, trunk).to(device)
                loss = pooled_loss(model, maps, labels[mine], masks, profile.pool, allowed, kind == "masked_pool_outside")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            loss_sum += loss.item()
            bar.update()
        loss_sum = process.mean(loss_sum, device)
        if not math.isfinite(loss_sum):
            raise StudyError(f"{system} seed {seed}: the loss is no longer finite in epoch {epoch}; lower learning_rate")
        state["losses"].append(loss_sum / steps)
        bar.set_postfix(loss=f"{loss_sum / steps:.3f}")
        keep(epoch)
    bar.close()
    if out is not None and process.rank == 0:
        save_head(out / "head.safetensors", head, about)
        (out / "checkpoint.pt").unlink(missing_ok=True)
    return head.eval(), state["losses"]


def _checkpoint(out: Path, about: dict, epoch: int, losses: list[float], head, optimizer, schedule) -> None:
    state = {"about": about, "epoch": epoch, "losses": losses, "head": head.state_dict(), "optimizer": optimizer.state_dict()}
    if schedule is not None:
        state["schedule"] = schedule.state_dict()
    out.mkdir(parents=True, exist_ok=True)
    torch.save(state, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")


def _resume(out: Path | None, about: dict, head, optimizer, schedule, device: torch.device) -> dict:
    """Restore the last whole epoch of this very training, if there is one."""
    if out is None or not (out / "checkpoint.pt").is_file():
        return {"epoch": 0, "losses": []}
    state = torch.load(out / "checkpoint.pt", map_location=device, weights_only=True)
    if state["about"] != about:
        return {"epoch": 0, "losses": []}
    head.load_state_dict(state["head"])
    optimizer.load_state_dict(state["optimizer"])
    if schedule is not None:
        schedule.load_state_dict(state["schedule"])
    return {"epoch": state["epoch"], "losses": state["losses"]}
