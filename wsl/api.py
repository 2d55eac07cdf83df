"""The Python interface of the measures: five functions, exported from `wsl`.

    >>> import json, tempfile, wsl
    >>> from pathlib import Path
    >>> box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "iscrowd": 0}
    >>> images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in (1, 2)]
    >>> folder = Path(tempfile.mkdtemp())
    >>> truth = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}]}
    >>> _ = (folder / "instances.json").write_text(json.dumps(truth))
    >>> _ = (folder / "mine.csv").write_text("image,class,score,x,y\\n1,cat,0.9,15,15\\n2,cat,0.2,50,50\\n")
    >>> dataset = wsl.load_coco(folder / "instances.json")
    >>> table = wsl.read_predictions(folder / "mine.csv")
    >>> wsl.evaluate(table, dataset)
      class  n_pos   ap  location_ap
    0   cat      1  1.0          1.0
    1   mAP      1  1.0          1.0
    >>> found = wsl.compare({"theirs": table.assign(x=80), "mine": table}, dataset, n_bootstrap=0)
    >>> found.differences[0].location.value
    1.0
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from wsl.data import coco, voc
from wsl.data.dataset import Dataset
from wsl.evaluation import compare as _compare
from wsl.evaluation import evaluate as _evaluate
from wsl.evaluation import predictions


def read_predictions(path: str | Path) -> pd.DataFrame:
    """A table of predictions from CSV or Parquet: columns image, class, score, x, y (pixels, 0-based).

    StudyError, which names the file, the value and the remedy, where it is not such a table.
    """
    return predictions.read(path, only_needed=True)


def load_voc(root: str | Path, year: str, split: str) -> Dataset:
    """The annotations of a split in the layout of the VOC devkit. `notes` of what is returned says what was interpreted."""
    return voc.load(root, year, split)


def load_coco(instances: str | Path, images: str | Path | None = None) -> Dataset:
    """The annotations in an instances JSON of COCO, and where its pictures are. `notes` says what was interpreted."""
    return coco.load(instances, images)


def evaluate(
    table: pd.DataFrame,
    dataset: Dataset,
    tolerance: float = _evaluate.TOLERANCE,
    rule: str = "voc2010",
    n_bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """AP and localization AP (section 4.2 of the paper) by class, and their means in the last row, 0..1.

    tolerance: pixels around a box. rule: voc2010, voc2007, sklearn or coco101. n_bootstrap: resamples of the images for 95%
    intervals (columns `..._low`, `..._high`). StudyError where the table does not fit the data set; a warning (of Python) where
    it can be read but something may be wrong, such as missing rows.
    """
    predictions.validate(table, "predictions")
    scored = _evaluate.from_predictions(table, dataset)
    _warn(scored.remarks)
    return _evaluate.evaluate(scored, tolerance, rule, n_bootstrap, seed)


def compare(
    tables: Mapping[str, pd.DataFrame],
    dataset: Dataset,
    tolerance: float = _evaluate.TOLERANCE,
    n_bootstrap: int = _evaluate.RESAMPLES,
    seed: int = 0,
) -> _compare.Comparison:
    """Several tables by their names: `values` of each, and `differences` to the first, on the same resamples of the images."""
    for name, table in tables.items():
        predictions.validate(table, name)
    scored = {name: _evaluate.from_predictions(table, dataset, name) for name, table in tables.items()}
    entries = tuple(_compare.Entry(name, name, one) for name, one in scored.items())
    _warn(_compare.remarks(entries))
    return _compare.compare(entries, tolerance, n_bootstrap, seed)


def _warn(remarks: Iterable[str]) -> None:
    for remark in remarks:
        warnings.warn(remark, stacklevel=3)
