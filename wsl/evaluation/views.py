"""What the per-image browser shows besides the predictions table: two small tables beside a run of weak supervision.

`pictures.parquet`: one row a test image, with its size and its public address where the data set names one.
`views.parquet`: one row for each image and class that is present or detected, with the boxes and a small score map. No
photograph and nothing made from one is in them, so they may lie in the recorded results.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from wsl.errors import StudyError
from wsl.evaluation.predictions import MOST_ROWS
from wsl.evaluation.runs import read_manifest
from wsl.files import whole_file

PICTURES = pa.schema([
    ("image", pa.string()),  # id, as in the predictions table
    ("width", pa.int32()),  # pixels
    ("height", pa.int32()),
    ("address", pa.string()),  # COCO's coco_url; empty where the data set names none
])  # fmt: skip
VIEWS = pa.schema([
    ("image", pa.string()),
    ("class", pa.string()),
    ("boxes", pa.list_(pa.float32())),  # x0 y0 x1 y1 of each ground-truth box, one after the other, pixels
    ("map", pa.binary()),  # (n, n) cells of the square canvas at s = 1, row by row: 255 times the probability (Eq. 2)
])  # fmt: skip
FILES = {"pictures.parquet": PICTURES, "views.parquet": VIEWS}


@dataclass(frozen=True)
class Views:
    """The two tables of one run."""

    pictures: pd.DataFrame  # by image
    views: pd.DataFrame  # by (image, class)

    def boxes(self, image: str, names: list[str]) -> list[tuple[float, ...]]:
        """Ground-truth boxes (x0, y0, x1, y1) of the classes `names` in an image."""
        rows = (self.views["boxes"].get((image, name)) for name in names)
        return [tuple(map(float, box)) for row in rows if row is not None for box in np.reshape(row, (-1, 4))]

    def probabilities(self, image: str, name: str) -> np.ndarray | None:
        """uint8 (n, n), 255 times the probability of a class in each cell of the canvas; None where no map is kept."""
        cells = self.views["map"].get((image, name))
        return None if cells is None else np.frombuffer(cells, np.uint8).reshape(isqrt(len(cells)), -1)


def write(folder: Path, pictures: pd.DataFrame, views: pd.DataFrame, head_sha256: str) -> None:
    """Write both tables to the folder of the run whose head made them."""
    for (name, schema), frame in zip(FILES.items(), (pictures, views), strict=True):
        table = pa.Table.from_pandas(frame, schema.with_metadata({"head_sha256": head_sha256}), preserve_index=False)
        with whole_file(Path(folder) / name) as temporary:
            pq.write_table(table.replace_schema_metadata({"head_sha256": head_sha256}), temporary, compression="zstd")


def _read(path: Path) -> pa.Table:
    """One of `FILES`, with the columns that `write` gives it."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.equals(FILES[path.name]) and file.metadata.num_rows <= MOST_ROWS:
                return file.read()
        reason = f"expected at most {MOST_ROWS:,} rows of {', '.join(FILES[path.name].names)}"
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
    raise StudyError(f"{path}: cannot be read ({reason}); make it again with `wsl views`")


def read(folder: str | Path) -> Views | None:
    """The tables beside a run, or None where it has none; they must be of the head that the run's manifest names."""
    paths = [Path(folder) / name for name in FILES]
    if not all(path.is_file() for path in paths):
        return None
    tables, head = [_read(path) for path in paths], read_manifest(folder).get("head_sha256")
    for path, table in zip(paths, tables, strict=True):
        if (table.schema.metadata or {}).get(b"head_sha256", b"").decode() != (head or ""):
            raise StudyError(f"{path}: is of another head than manifest.json; make it again with `wsl views`")
    pictures, views = (table.to_pandas() for table in tables)
    return Views(pictures.set_index("image"), views.set_index(["image", "class"]))
