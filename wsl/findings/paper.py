"""The paper's numbers as data, exactly as printed, and a check of them.

Oquab, Bottou, Laptev and Sivic, "Is object localization for free? - Weakly-supervised learning with
convolutional neural networks", CVPR 2015. Values are average precisions in percent, as the paper prints
them. Only what our copy of the text holds is here: the rows of Table 3 and the bar values of Figure 5 are
not in it, and stand as `NOT_AVAILABLE`, never as a remembered value.

>>> from wsl.findings import paper
>>> paper.table2().loc["J", "location_voc"]
74.5
"""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files

import pandas as pd

CITATION = "Oquab, Bottou, Laptev, Sivic: Is object localization for free? CVPR 2015"
NOT_AVAILABLE = "not available in our copy of the paper"
TABLE3 = NOT_AVAILABLE  # per-class localization AP on VOC
FIGURE5 = NOT_AVAILABLE  # per-class bar values on COCO

# Table 1 heads its columns with short names; VOC's own names, in the same (alphabetical) order.
VOC_NAMES = {
    "plane": "aeroplane",
    "bike": "bicycle",
    "bird": "bird",
    "boat": "boat",
    "btl": "bottle",
    "bus": "bus",
    "car": "car",
    "cat": "cat",
    "chair": "chair",
    "cow": "cow",
    "table": "diningtable",
    "dog": "dog",
    "horse": "horse",
    "moto": "motorbike",
    "pers": "person",
    "plant": "pottedplant",
    "sheep": "sheep",
    "sofa": "sofa",
    "train": "train",
    "tv": "tvmonitor",
}


# Rows of Table 2 -> systems of the study.
IN_WORDS = {"weak_sup@train_s1": "multi_scale_training", "weak_sup@test_s1": "multi_scale_testing"}  # COCO, against J
SYSTEMS = {"H": "full_images", "I": "masked_pool", "J": "weak_sup", "K": "center", "L": "rcnn"}
TRAINING = {"voc": 5_000, "coco": 80_000}  # Section 5: images, by layout
# The data of Table 2, as `Dataset.name` has them, and their number of images.
VALIDATION = {"voc": ("VOC2012 val", 5823), "coco": ("COCO val2014", 40504)}


@cache
def _read(name: str, index: str) -> pd.DataFrame:
    with (files("wsl.findings") / "paper_numbers" / name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, index_col=index)


def table1() -> pd.DataFrame:
    """Table 1: per-class classification AP on the VOC 2012 test set, percent.

    Index A to G; columns `method`, `reference`, `supervision` ("object" or "image"), the 20 short class names
    in the paper's order, `mAP`.
    """
    return _read("table1.csv", "row").fillna({"reference": ""})


def table2() -> pd.DataFrame:
    """Table 2: mAP on the validation sets, percent; NaN where the paper prints a dash.

    Index H to L; columns `method`, `classification_voc`, `classification_coco`, `location_voc`,
    `location_coco`.
    """
    return _read("table2.csv", "row").copy()


def table2_on(name: str, images: int) -> pd.DataFrame | None:
    """Table 2 on one of its data sets, columns `method`, `classification`, `location`; None where these are other data."""
    for layout, official in VALIDATION.items():
        if (name, images) == official:
            columns = {f"{metric}_{layout}": metric for metric in ("classification", "location")}
            return table2().rename(columns=columns)[["method", *columns.values()]]
    return None


def sentences() -> pd.DataFrame:
    """Numbers in the paper's running text: `value` (to `high`, where a range), `unit`, `data`, `sentence`."""
    return _read("sentences.csv", "id").copy()


def difference(a: str, b: str, metric: str, layout: str) -> float:
    """System `a` minus `b`, points of mAP, as the paper has it for a layout ("voc", "coco"); NaN where it has none.

    >>> difference("weak_sup", "center", "location", "voc")
    23.6
    """
    if (a, metric, layout) == ("weak_sup", "classification", "coco") and b in IN_WORDS:
        return float(sentences().loc[IN_WORDS[b], "value"])
    if "object_patches" in (a, b):  # row B is in Table 1 alone: VOC 2012 test, classification
        printed = table1()["mAP"].rename({"B": "object_patches", "F": "full_images", "G": "weak_sup"})
        printed = printed if (metric, layout) == ("classification", "voc") else printed.iloc[:0]
    else:
        printed = table2().rename(SYSTEMS)[f"{metric}_{layout}"]
    return round(float(printed.get(a, math.nan) - printed.get(b, math.nan)), 1)


def contrast(classes: Sequence[str]) -> float:
    """Mean gain in AP of G over F in the VOC classes named, minus that in all the others, points (Table 1)."""
    gain = (table1().loc["G", list(VOC_NAMES)] - table1().loc["F", list(VOC_NAMES)]).rename(VOC_NAMES).astype(float)
    return float(gain[gain.index.isin(classes)].mean() - gain[~gain.index.isin(classes)].mean())


def check_printed_means() -> pd.DataFrame:
    """Does each printed mAP of Table 1 equal the mean of its row, rounded half up to the printed digit?

    Exact decimal arithmetic, so that a mean of 78.75 is 78.75. Returns columns `mean`, `rounded`, `printed`
    (strings) and `agrees`, indexed A to G. Row F alone disagrees: 78.75 is printed as 78.7.
    """
    table, rows = table1(), {}
    for row, values in table.iterrows():
        mean = sum(Decimal(str(values[name])) for name in VOC_NAMES) / len(VOC_NAMES)
        rounded = mean.quantize(Decimal("0.1"), ROUND_HALF_UP)
        printed = Decimal(str(values["mAP"]))
        rows[row] = {
            "mean": str(mean),
            "rounded": str(rounded),
            "printed": str(printed),
            "agrees": rounded == printed,
        }
    return pd.DataFrame.from_dict(rows, orient="index")
