"""The archive that the PASCAL VOC evaluation server takes: Table 1's test column, whose labels are not public.

    results/VOC2012/Main/comp2_cls_test_<class>.txt     one line an image: id and confidence

"comp2" is the devkit's classification competition with training data of one's own choice: here ImageNet. The devkit reads
each file with the format `%s %f`, and refuses an image that is not on the list.
"""

from __future__ import annotations

import io
import math
import tarfile
from pathlib import Path

import pandas as pd

from wsl.data import voc
from wsl.data.dataset import Dataset
from wsl.errors import StudyError
from wsl.files import whole_file
from wsl.network.features import Features
from wsl.profile import method_of
from wsl.systems.localize import load_localizer
from wsl.systems.predict import Tester, predict


def predict_unlabelled(
    dataset: Dataset, head: Path | None = None, weights: Path | None = None, convention: str | None = None
) -> pd.DataFrame:
    """Predictions table of a trained head (the shipped one by default) on pictures without labels."""
    localizer = load_localizer(head, weights, convention)
    if tuple(localizer.about["classes"]) != dataset.classes:
        raise StudyError(f"{head}: knows {len(localizer.about['classes'])} classes, not the 20 of VOC; train on a VOC profile")
    scales = () if method_of(localizer.about.get("system", "")) == "full_images" else tuple(localizer.about["test_scales"])
    features = Features(localizer.trunk, dataset, localizer.about["canvas"])
    return predict(features, {"submission": Tester(localizer.head, scales)})["submission"]


def file_names(year: str, split: str) -> dict[str, str]:
    """The archive's file of each class."""
    return {name: f"results/VOC{year}/Main/comp2_cls_{split}_{name}.txt" for name in voc.CLASSES}


def write_submission(df: pd.DataFrame, images: tuple[str, ...], names: dict[str, str], path: Path) -> Path:
    """Write a predictions table as the server's archive; it must score every one of `images` for every class."""
    scores = df.pivot(index="image", columns="class", values="score").reindex(index=list(images), columns=list(names))
    with whole_file(path) as temporary:
        with tarfile.open(temporary, "w:gz") as archive:
            for name, file in names.items():
                lines = (f"{image} {score:.6f}\n" for image, score in scores[name].items())
                data = "".join(lines).encode()
                member = tarfile.TarInfo(file)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        check_submission(temporary, images, names)
    return Path(path)


def check_submission(path: Path, images: tuple[str, ...], names: dict[str, str]) -> None:
    """Read an archive as the devkit does; raise StudyError with the file and line that the server would refuse."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            texts = {m.name: archive.extractfile(m).read().decode() for m in archive.getmembers() if m.isfile()}
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a readable archive ({error}); make it again with `wsl submit`") from None
    for name in sorted(set(names.values()) ^ set(texts)):
        raise StudyError(f"{path}: {'holds besides' if name in texts else 'lacks'} {name}; make it again with `wsl submit`")
    for name, text in texts.items():
        left = set(images)
        for number, line in enumerate(text.splitlines(), 1):
            image, _, score = line.partition(" ")
            if image not in left or not _finite(score):
                raise StudyError(f"{path}: {name}, line {number} reads {line!r}; expected a listed id, once, and a number")
            left.remove(image)
        if left:
            raise StudyError(f"{path}: {name} does not score {len(left)} of {len(images)} images, the first {min(left)}")


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
