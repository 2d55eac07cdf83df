"""The predictions table: one row per (image, class), the hinge between computing and judging.

Needed columns: image, class, score, x, y, in any order and case. Our own runs carry more (see `SCHEMA`), so that they can be
evaluated without the data set. CSV is read as spreadsheets and scripts write it where that leaves one reading only: commas,
semicolons, tabs or bars between the values, decimal commas, blanks, an index column, compressed, through a pipe. Row order:
image order of the data set, then class order. An absent row is legal: the image is then ranked last for that class. A system
without locations leaves x and y empty in every row.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from wsl.data.dataset import Dataset, box_distance
from wsl.data.packed import as_text, read_bytes
from wsl.errors import StudyError
from wsl.files import CONTROL, composed, sha256, whole_file

MOST_ROWS, MOST_COLUMNS = 20_000_000, 1_000  # all 80 classes of COCO's 41,000 test images have 3.3 million rows
MOST_BYTES, MOST_FOOTER = 2**30, 2**25  # of a CSV or of a text column, and of the description at the end of a Parquet file
TEXT = {f"{size}{kind}" for size in ("", "large_") for kind in ("string", "binary")} | {"string_view", "binary_view"}  # types
NEEDED = ("image", "class", "score", "x", "y")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
OTHERS = {  # first bytes -> what the file is, and what to do
    b"ARROW1": "in Arrow's format (Feather); save it with pandas: to_parquet",
    b"\x80": "a pickle, which may hold a program, so that it is not read; save it with pandas: to_parquet",
    b"\x89HDF": "in the format HDF5; save it with pandas: to_parquet",
    b"SQLite format 3": "an SQLite database; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save its sheet as CSV",
    b"{": "JSON; save it with pandas as CSV, or make the table of a detector's results with `wsl points`",
    b"[": "JSON; save it with pandas as CSV, or make the table of a detector's results with `wsl points`",
}


def _field(name: str, dtype: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, dtype, metadata={"description": description})


SCHEMA = pa.schema(
    [
        _field("image", pa.string(), "image id, exactly as in the data set's list (VOC) or JSON (COCO)"),
        _field("class", pa.string(), "class name"),
        _field(
            "score", pa.float32(), "class score by which images are ranked: mean over scales of the maximum"
        ),
        _field(
            "x",
            pa.float32(),
            "predicted point, pixels of the original image, 0-based; map stretched to canvas",
        ),
        _field("y", pa.float32(), "as x, downwards"),
        _field(
            "label", pa.int8(), "truth: 1 present, 0 only difficult or crowd objects (dropped), -1 absent"
        ),
        _field(
            "distance", pa.float64(), "pixels from (x, y) to the nearest box of the class; inf where none"
        ),
        _field("score_max", pa.float32(), "alternative score: maximum over scales"),
        _field("x_centre", pa.float32(), "alternative point: receptive-field centre of the winning cell"),
        _field("y_centre", pa.float32(), "as x_centre, downwards"),
        _field("distance_centre", pa.float64(), "as distance, from (x_centre, y_centre)"),
    ],
    metadata={"description": "Predictions of one system: one row per (image, class). Coordinates in pixels."},
)
ALTERNATIVES = ("score_max", "x_centre", "y_centre", "distance_centre")  # what the sensitivity page asks for
SCORES = ("score", "score_max")  # no two alike: stored byte by byte, which compresses; points repeat: as a dictionary
# distance is float64 so that it says exactly what box_distance says of the float32 point in the file.


# ---- read and write


def read(path: str | Path, only_needed: bool = False) -> pd.DataFrame:
    """Read and validate a CSV or Parquet table; "-" is the standard input. Columns outside `SCHEMA` are ignored.

    only_needed: read the five needed columns only, whatever the others hold (an outsider's table).
    """
    source = "standard input" if str(path) == "-" else Path(path)
    wanted = NEEDED if only_needed else tuple(SCHEMA.names)
    try:
        table = _read_table(path, wanted, source)
    except FileNotFoundError:
        raise StudyError(f"{source}: no such file; give a CSV or Parquet table of predictions") from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(f"{source}: cannot be read as CSV or Parquet ({reason}); write it again") from None
    columns = {
        name: _convert(table[name], SCHEMA.field(name).type, source, name) for name in table.column_names
    }
    df = pa.table(columns).to_pandas()
    validate(df, str(source))
    return df


def _read_table(path: str | Path, wanted: tuple[str, ...], source: Path | str) -> pa.Table:
    regular = str(path) != "-" and os.path.isfile(path)
    if regular:
        with open(path, "rb") as file:  # opened here: pyarrow takes no name that is not UTF-8
            if file.read(4) == b"PAR1":
                return _read_parquet(file, wanted, source)
        _check_bounds(source, size=os.path.getsize(path))
    data = read_bytes(path)
    _check_bounds(source, size=len(data))
    if not data.strip():
        raise StudyError(f"{source}: is empty; expected a table with columns {', '.join(NEEDED)}")
    if data.startswith(b"PAR1"):
        return _read_parquet(io.BytesIO(data), wanted, source)
    if other := next((other for start, other in OTHERS.items() if data.startswith(start)), None):
        raise StudyError(f"{source}: is {other}")
    return _read_csv(data, wanted, source)


def _read_parquet(file: BinaryIO, wanted: tuple[str, ...], source: Path | str) -> pa.Table:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 8, 0))
    footer, end = file.read(4), file.read(4)
    if end != b"PAR1":
        raise StudyError(f"{source}: is a Parquet file that was cut off; copy or write it again")
    _check_bounds(source, footer=int.from_bytes(footer, "little"))
    with pq.ParquetFile(file) as table:
        about, schema = table.metadata, table.schema_arrow
    rows = max(about.num_rows, sum(about.row_group(n).num_rows for n in range(about.num_row_groups)))
    _check_bounds(source, rows, len(schema.names))
    names = _named(schema.names, source)
    found = {name: names[name] for name in wanted if name in names}
    for name in found.values():
        kind = _value_type(schema.field(name).type)
        if not (str(kind) in TEXT or pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
            raise StudyError(f"{source}: column {name} is of type {kind}; expected text or numbers")
    text = [key for key, name in found.items() if str(_value_type(schema.field(name).type)) in TEXT]
    # Each different text is read once: one that is long and repeats would take more memory than there is before it is seen
    with pq.ParquetFile(file, read_dictionary=[found[key] for key in text]) as table:
        columns = table.read(columns=list(found.values()), use_pandas_metadata=False)
    columns = columns.select(list(found.values())).rename_columns(list(found))
    for key in text:
        _check_bounds(source, size=_text_bytes(columns[key]))
    return columns


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Bytes of a column of dictionaries if each row had its text for itself."""
    lengths = (pc.take(pc.binary_length(chunk.dictionary).cast(pa.int64()), chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(rows).as_py() or 0 for rows in lengths)


def _read_csv(data: bytes, wanted: tuple[str, ...], source: Path | str) -> pa.Table:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = as_text(data, source).encode()
    data = re.sub(rb"^(?:\xef\xbb\xbf)?(?: *\r?\n)*(?:[sS][eE][pP]=.\r?\n)?", b"", data, count=1)  # Excel's mark, and its "sep=;"
    if b"\0" in data[:100]:
        raise StudyError(f"{source}: holds bytes 0, as UTF-16 without its mark and UTF-32 have them; save it as UTF-8")
    header, *first = (as_text(line, source).rstrip("\r\n") for line in data[: 2**20].splitlines(keepends=True)[:2])
    start = len(re.match(rb"[^\r\n]*(?:\r\n|\r|\n)?", data)[0])
    cells = {mark: [cell.strip().strip("\"'").strip() for cell in header.split(mark)] for mark in SEPARATORS}
    separator = max(SEPARATORS, key=lambda mark: (len(_lower(cells[mark]) & set(NEEDED)), len(cells[mark])))
    _check_bounds(source, columns=len(cells[separator]))
    names = _named(cells[separator], source)
    columns = [*cells[separator]]
    for position, name in enumerate(columns):  # the columns that are not wanted may be called as they like
        columns[position] = next((key for key in wanted if names.get(key) == name), f"unused {position}")
    try:
        row = next(csv.reader(first, delimiter=separator), [])
    except csv.Error as error:
        raise StudyError(f"{source}: line 2 cannot be read ({error}); write it again") from None
    if len(row) == len(columns) + 1:
        if not row[-1].strip():
            columns.append("unused")  # a separator at the end
        elif not re.fullmatch(r"[-+.\d]*", row[columns.index("class") + 1].strip()):
            columns.insert(0, "unused")  # R's names of rows, which have no head
    kept = [name for name in wanted if name in columns]
    options = {
        "read_options": pa.csv.ReadOptions(column_names=columns),
        "parse_options": pa.csv.ParseOptions(delimiter=separator),
        "convert_options": pa.csv.ConvertOptions(
            column_types=dict.fromkeys(kept, pa.string()),  # as text: ids keep their leading zeros
            include_columns=kept,
        ),
    }
    if not data[start:].strip():
        raise StudyError(f"{source}: holds no prediction; expected one row per image and class")
    table = pa.csv.read_csv(pa.BufferReader(pa.py_buffer(data).slice(start)), **options)
    _check_bounds(source, table.num_rows)
    return _decimal_points(table, separator, source)


def _check_bounds(path: Path | str, rows: int = 0, columns: int = 0, size: int = 0, footer: int = 0) -> None:
    """Refuse a table that would take more memory than a laptop has. size: bytes of a CSV; footer: of a Parquet's description."""
    found = {"rows": (rows, MOST_ROWS), "columns": (columns, MOST_COLUMNS)}
    found |= {"bytes": (size, MOST_BYTES), "bytes that describe it": (footer, MOST_FOOTER)}
    for what, (value, most) in found.items():
        if value > most:
            remedy = f"give the columns {', '.join(NEEDED)} alone, or parts of it"
            raise StudyError(f"{path}: has {value:,} {what}; at most {most:,} are read: {remedy}")


def _lower(names: list) -> set[str]:
    return {str(name).strip().lower() for name in names}


def _named(names: list[str], source: Path | str) -> dict[str, str]:
    """The columns of `SCHEMA` that a table has, {name: as it is written there}, whatever their case; refuse what is in doubt."""
    found: dict[str, str] = {}
    for name in SCHEMA.names:
        written = [other for other in names if other == name] or [
            other for other in names if str(other).strip().lower() == name
        ]
        if len(written) > 1:
            raise StudyError(f"{source}: has the column {name} twice; remove one")
        if written:
            found[name] = written[0]
    _check_columns(list(found), source, names)
    return found


def _decimal_points(table: pa.Table, separator: str, source: Path | str) -> pa.Table:
    """Numbers with decimal commas, as spreadsheets write them in much of Europe, with points instead."""
    numbers = [name for name in table.column_names if SCHEMA.field(name).type != pa.string()]
    commas = [name for name in numbers if pc.any(pc.match_substring(table[name], ",")).as_py()]
    for name in commas:
        column = table[name]
        points = pc.any(pc.match_substring(column, ".")).as_py()
        with_comma = column.filter(pc.match_substring(column, ","))
        thousands = pc.all(pc.match_substring_regex(with_comma, r"^\s*[-+]?[1-9]\d{0,2}(,\d{3})+\s*$")).as_py()
        if points or (thousands and separator != ";") or pc.max(pc.count_substring(with_comma, ",")).as_py() > 1:
            raise StudyError(
                f"{source}: column {name} reads {with_comma[0].as_py()!r}, whose comma may part decimals or thousands; write "
                f"numbers with a decimal point and nothing between thousands"
            )
        table = table.set_column(table.column_names.index(name), name, pc.replace_substring(column, ",", "."))
    return table


def _check_columns(names: list[str], source: Path | str, written: list[str] | None = None) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        found = ", ".join(map(str, names if written is None else written))
        raise StudyError(
            f"{source}: lacks the column(s) {', '.join(missing)}; found {found:.200}. Needed are {', '.join(NEEDED)}, named in "
            f"the first line and separated by {', '.join(SEPARATORS.values())} (x and y may be empty in every row, if the system "
            f"predicts no location)"
        )
    repeated = sorted({name for name in names if names.count(name) > 1} & set(SCHEMA.names))
    if repeated:
        raise StudyError(f"{source}: has the column {repeated[0]} twice; remove one")


def _convert(column: pa.ChunkedArray, target: pa.DataType, path: Path, name: str) -> pa.ChunkedArray:
    """Text columns to text, all others to numbers in full precision (empty, NA and NaN become missing)."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if text:
        column = pc.utf8_trim_whitespace(column)
        if pc.any(pc.starts_with(column, '"')).as_py():  # behind a blank, quotes are left as they are
            column = pc.replace_substring_regex(column, '^"(.*)"$', r"\1")
    if target == pa.string():
        return _cast(column, pa.string(), path, name, "text")
    if text:
        words = pa.array(["", "na", "nan", "null", "none"], column.type)
        column = pc.if_else(
            pc.is_in(pc.utf8_lower(column), value_set=words), pa.scalar(None, column.type), column
        )
    column = _cast(column, pa.float64(), path, name, "a number")
    return _cast(column, target, path, name, "a small whole number") if target == pa.int8() else column


def _cast(
    column: pa.ChunkedArray, target: pa.DataType, path: Path, name: str, wanted: str
) -> pa.ChunkedArray:
    try:
        return column.cast(target)
    except pa.ArrowException:
        for row in range(len(column)):
            try:
                column.slice(row, 1).cast(target)
            except pa.ArrowException:
                value = column[row].as_py()
                raise StudyError(
                    f"{path}: column {name} reads {value!r} in row {row + 1}; expected {wanted}"
                ) from None
        raise StudyError(f"{path}: column {name} is of type {column.type}; expected {wanted}") from None


def validate(df: pd.DataFrame, source: str) -> None:
    """Raise StudyError unless `df` is a predictions table; `source` (a file) is named in the message."""
    _check_columns(list(df.columns), source)
    if df.empty:
        raise StudyError(f"{source}: holds no prediction; expected one row per image and class")

    def where(bad) -> str:
        row = df.iloc[int(np.argmax(bad))]
        return f"image {row['image']}, class {row['class']}"

    for name in ("image", "class"):
        bad = df[name].isna() | (df[name] == "")
        if bad.any():
            raise StudyError(f"{source}: column {name} is empty in row {int(np.argmax(bad)) + 1}; fill it in")
        if strange := next(filter(CONTROL.search, map(str, df[name].unique())), None):
            raise StudyError(f"{source}: column {name} holds {strange!r}, with a control character; write it anew")
    for bad, what in (
        (np.isnan(df["score"]), "no score (NaN)"),
        (np.isinf(df["score"]), "an infinite score"),
    ):
        if bad.any():
            raise StudyError(
                f"{source}: {where(bad)} has {what}, {int(bad.sum())} such row(s); give a finite number or "
                f"leave "
                f"the row out, which ranks the image last"
            )
    for pair in (("x", "y"), ("x_centre", "y_centre")):
        if set(pair) <= set(df.columns):
            _check_points(df[list(pair)].to_numpy(np.float64), source, where)
    bad = df.duplicated(["image", "class"])
    if bad.any():
        raise StudyError(
            f"{source}: {where(bad)} has two rows, {int(bad.sum())} such row(s); keep one of each"
        )


def _check_points(xy: np.ndarray, source: str, where) -> None:
    absent = np.isnan(xy)  # (rows, 2)
    if absent.any() and not absent.all():
        bad = absent.any(axis=1)
        raise StudyError(
            f"{source}: {where(bad)} has no location, {int(bad.sum())} such row(s), but other rows have "
            f"one; give "
            f"x and y in every row, or in none if the system predicts no location"
        )
    if np.isinf(xy).any():
        raise StudyError(f"{source}: {where(np.isinf(xy).any(axis=1))} has an infinite x or y; give pixels")


def write(df: pd.DataFrame, path: str | Path, manifest: dict | None = None) -> str:
    """Validate `df` and write it as Parquet (zstd), columns and types of `SCHEMA`, the manifest in the
    metadata; returns the sha256 of the file.

    Numbers but the distances become float32: evaluate what `read` gives back, not what was in memory.
    """
    validate(df, str(path))
    schema = pa.schema([SCHEMA.field(name) for name in SCHEMA.names if name in df.columns], SCHEMA.metadata)
    table = pa.Table.from_pandas(df[schema.names], schema, preserve_index=False, safe=False)
    metadata = {**SCHEMA.metadata, b"manifest": json.dumps(manifest or {}).encode()}
    with whole_file(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd", compression_level=19,
                       use_dictionary=[name for name in schema.names if name not in SCORES],
                       use_byte_stream_split=[name for name in schema.names if name in SCORES])
        return sha256(temporary)


def compact(df: pd.DataFrame, alternatives: bool = False) -> pd.DataFrame:
    """One of our own tables in a third of its space, with the same answers: for recorded runs that are shown as means only.

    The scores of a class are moved to multiples of 1/512, as little as keeps their order, equal ones included: every average
    precision stays what it is. Points of absent classes, which nothing asks for, become (0, 0). alternatives: keep the columns
    of `ALTERNATIVES`, treated alike; they are left out otherwise.
    """
    df = df.copy() if alternatives else df.drop(columns=list(ALTERNATIVES), errors="ignore")
    classes = df.groupby("class").indices.values()
    for name in (name for name in SCORES if name in df):
        scores = df[name].to_numpy(np.float64, copy=True)
        for rows in classes:
            distinct, place = np.unique(scores[rows], return_inverse=True)
            rank = np.arange(len(distinct))
            scores[rows] = (np.maximum.accumulate(np.rint(512 * distinct) - rank) + rank)[place] / 512
        df[name] = scores
    for x, y in (("x", "y"), ("x_centre", "y_centre")):
        if x in df:
            df.loc[(df["label"] < 0) & df[x].notna(), [x, y]] = 0.0
    return df


# ---- table and data set


@dataclass(frozen=True)
class Aligned:
    """A table laid out on the images and classes of a data set."""

    scores: np.ndarray  # (N, K) float64, -inf where the table has no row
    points: (
        np.ndarray | None
    )  # (N, K, 2) float64 pixels, NaN where the table has no row; None: no locations at all
    missing: int  # number of (image, class) pairs without a row


def align(df: pd.DataFrame, dataset: Dataset, source: str = "predictions") -> Aligned:
    """Lay out a validated table on `dataset`, whatever the order of its rows; refuse what the data set
    lacks."""
    image, cls = _positions(df, dataset, source)
    shape = (len(dataset), len(dataset.classes))
    scores = np.full(shape, -np.inf)
    scores[image, cls] = df["score"].to_numpy(np.float64)
    missing = scores.size - len(df)
    xy = df[["x", "y"]].to_numpy(np.float64)
    if np.isnan(xy).all():
        return Aligned(scores, None, missing)
    size = dataset.sizes[image]
    outside = ((xy < 0) | (xy > size)).any(axis=1)
    if outside.any():
        n = int(np.argmax(outside))
        raise StudyError(
            f"{source}: image {df['image'].iloc[n]}, class {df['class'].iloc[n]} has the point "
            f"({xy[n, 0]:g}, {xy[n, 1]:g}) outside its image of {size[n, 0]} x {size[n, 1]} pixels, "
            f"{int(outside.sum())} such row(s); give pixels of the original image, 0-based"
        )
    if np.nanmax(xy) <= 1 and ((xy > 0) & (xy < 1)).any() and size.min() > 1:
        raise StudyError(
            f"{source}: no x or y exceeds 1, the first point is ({xy[0, 0]:g}, {xy[0, 1]:g}): these are fractions of the image; "
            f"multiply x by its width and y by its height, to give pixels"
        )
    points = np.full((*shape, 2), np.nan)
    points[image, cls] = xy
    return Aligned(scores, points, missing)


def attach_truth(df: pd.DataFrame, dataset: Dataset, source: str = "predictions") -> pd.DataFrame:
    """`df` with label, distance and, where there are centre points, distance_centre.

    Points are rounded to float32 first, as `write` does, so that distances are those of the points in the
    file.
    """
    df = df.copy()
    image, cls = _positions(df, dataset, source)
    df["label"] = dataset.labels[image, cls]
    for suffix in ("", "_centre"):
        pair = [f"x{suffix}", f"y{suffix}"]
        if set(pair) <= set(df.columns):
            df[pair] = df[pair].astype(np.float32)
            points = np.full((*dataset.labels.shape, 2), np.nan)
            points[image, cls] = df[pair].to_numpy(np.float64)
            df[f"distance{suffix}"] = box_distance(points, dataset)[image, cls]
    return df


def _positions(df: pd.DataFrame, dataset: Dataset, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rows,) into the images and classes of `dataset`; refuse a row that has none, or that of another row."""
    image = _index(df["image"], dataset.images)
    if (image < 0).any():
        image = _index(_identified(df["image"], dataset), dataset.images)
    if (image < 0).any():
        value = str(df["image"].iloc[int(np.argmax(image < 0))])
        raise StudyError(
            f"{source}: image {value!r} is not in {dataset.name} (its ids read like {dataset.images[0]!r}), "
            f"{int((image < 0).sum())} such row(s); {image_hint(value, dataset)}"
        )
    cls = _index(df["class"], dataset.classes)
    if (cls < 0).any():
        value = str(df["class"].iloc[int(np.argmax(cls < 0))])
        near = difflib.get_close_matches(value.replace(" ", ""), dataset.classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"its classes are {', '.join(dataset.classes)}"
        raise StudyError(f"{source}: class {value!r} is not in {dataset.name}; {hint}")
    bad = pd.Index(image * len(dataset.classes) + cls).duplicated()
    if bad.any():
        n = int(np.argmax(bad))
        raise StudyError(
            f"{source}: image {df['image'].iloc[n]}, class {df['class'].iloc[n]} has two rows, as the id is written in two "
            f"ways, {int(bad.sum())} such row(s); keep one of each"
        )
    return image, cls


def _index(column: pd.Series, names: tuple[str, ...]) -> np.ndarray:
    """Positions (rows,) of a column's texts in `names`, in either form of Unicode; -1 where they have none."""
    found = pd.Index(names).get_indexer(column)
    if (found < 0).any():
        positions = {composed(name): n for n, name in enumerate(names)}
        if len(positions) == len(names):
            found[found < 0] = [positions.get(composed(str(text)), -1) for text in column[found < 0]]
    return found


def _identified(column: pd.Series, dataset: Dataset) -> pd.Series:
    """Image ids of a table as the data set writes them, where the table leaves no doubt.

    A whole number with a point ("11.0") is that number. File names are ids if the table names every image of the data set by
    its file: a single one might as well be that of another data set.
    """
    known = set(dataset.images)
    column = column.astype(object)
    numbers = column.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    column = column.where(column.isin(known) | ~numbers.isin(known), numbers)
    if column.isin(known).any():
        return column
    named = column.str.replace("\\", "/").map(_by_file(dataset))
    return named if set(named) == known else column


def _by_file(dataset: Dataset) -> dict[str, str]:
    """{file name, its path or the end of that, with and without its extension: image id}, where it is of one image alone."""
    found: dict[str, set[str]] = {}
    for image, file in zip(dataset.images, dataset.files, strict=True):
        for take in range(1, len(file.parts) + 1):
            end = Path(*file.parts[-take:])
            for name in (end.as_posix(), end.with_suffix("").as_posix()):
                found.setdefault(name, set()).add(image)
    return {name: images.pop() for name, images in found.items() if len(images) == 1}


def image_hint(value: str, dataset: Dataset) -> str:
    bare = value.removesuffix(".0")
    if bare.isdigit() and any(i != bare and i.lstrip("0") == bare.lstrip("0") for i in dataset.images):
        if dataset.images[0].startswith("0"):
            return "leading zeros were lost: keep ids as text (pandas: read_csv(..., dtype={'image': str}))"
        return "COCO ids are integers without leading zeros"
    stem = Path(value.replace("\\", "/")).stem
    if stem != value and stem in dataset.images:
        return f"give the id without folder and suffix: {stem!r}"
    number = re.search(r"0*(\d+)$", stem)
    if number and number[1] in dataset.images:
        return f"give the id in the JSON, an integer without leading zeros: {number[1]!r}"
    return "check that it belongs to this data set and split"
