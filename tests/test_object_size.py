"""Differences by size of the objects (D28): sizes, parts and what is counted in each."""

from dataclasses import replace

import numpy as np
import pandas as pd

from benchmarks import object_size
from wsl.data.dataset import Boxes, Dataset
from wsl.evaluation.evaluate import Scored
from wsl.findings.reasons import BY_SIZE, DECIDES, by_size, verdicts_by_size
from wsl.pages.object_size import say_verdicts


def test_the_size_is_that_of_the_largest_box_that_counts():
    xyxy = np.array([[0, 0, 40, 10], [0, 0, 10, 10], [0, 0, 100, 100], [0, 0, 50, 50]], float)
    boxes = Boxes(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), xyxy, np.array([False, False, True, False]), ("",) * 4)
    labels = np.array([[1, -1], [-1, 1]], np.int8)
    data = Dataset("d", ("a", "b"), ("i", "j"), (), np.array([[200, 100], [100, 100]]), labels, boxes)
    assert np.array_equal(object_size.sizes(data), [[0.1, np.nan], [np.nan, 0.5]], equal_nan=True)
    of_voc = replace(data, boxes=replace(boxes, pose=("", "Left", "", "")))  # its corners belong to the boxes
    assert np.allclose(object_size.sizes(of_voc), [[np.sqrt(41 * 11) / 200, np.nan], [np.nan, 0.51]], equal_nan=True)


def test_parts_by_edges_and_in_thirds_of_each_class():
    size = np.array([[0.1, 0.9], [0.2, np.nan], [0.3, 0.8], [np.nan, 0.7]])
    assert np.array_equal(object_size.parts(size, np.array([0.15, 0.5])), [[0, 2], [1, -1], [1, 2], [-1, 2]])
    assert np.array_equal(object_size.parts(size), [[0, 2], [1, -1], [2, 1], [-1, 0]])


def test_each_part_counts_its_own_objects_against_all_other_images():
    """Two objects, of which the small one is ranked below the image without the class, the large one above it."""
    scored = {0: Scored(("a",), ("i", "j", "k"), np.array([[0.1], [0.9], [0.5]]), np.array([[1], [1], [-1]], np.int8), None)}
    part = np.array([[0], [2], [-1]])
    small, middle, large = (object_size.measured(scored, part, which)["classification"].value for which in range(3))
    assert (small, large) == (0.5, 1.0) and np.isnan(middle)


def test_the_verdict_is_that_of_the_whole_interval(tmp_path):
    """What boxes add should be more among small objects in localization, less in classification."""
    ends = {BY_SIZE[0][0]: (0.5, 2.0), BY_SIZE[1][0]: (-1.0, 1.0), BY_SIZE[3][0]: (0.5, 2.0)}
    rows = [DECIDES | {"comparison": title, "value": low, "low": low, "high": high} for title, (low, high) in ends.items()]
    rows += [row | {"division": "another", "low": -9.0, "high": -8.0} for row in rows]
    assert by_size(tmp_path) is None
    pd.DataFrame(rows).to_csv(tmp_path / "object_size.csv", index=False)
    found = by_size(tmp_path)
    assert [verdict for *_, verdict in verdicts_by_size(found)] == ["confirmed", "open", "refuted"]
    assert say_verdicts(found)[1] == "L − J, localization, small objects less large ones: −1.0 (−1.0 to 1.0): open"
