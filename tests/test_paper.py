"""The paper's numbers: what is printed, and that nothing else is there."""

import pytest

from wsl.findings import paper


def test_printed_means_agree_with_their_rows_but_for_row_f():
    check = paper.check_printed_means()
    assert list(check.index) == list("ABCDEFG")
    assert list(check.index[~check["agrees"]]) == ["F"]
    assert (check.loc["F", "mean"], check.loc["F", "printed"]) == ("78.75", "78.7")


def test_table1_is_complete_and_in_percent():
    table = paper.table1()
    values = table[[*paper.VOC_NAMES, "mAP"]]
    assert values.shape == (7, 21) and values.notna().all(axis=None)
    assert values.to_numpy().min() > 40 and values.to_numpy().max() < 100
    assert list(table["supervision"]) == ["object"] * 2 + ["image"] * 5


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [("A", "plane", 97.3), ("D", "tv", 81.9), ("F", "btl", 49.9), ("G", "plant", 66.2), ("G", "mAP", 86.3)],
)
def test_cells_of_table1(row, column, value):
    assert paper.table1().loc[row, column] == value


def test_table2_has_the_papers_dashes():
    table = paper.table2()
    assert table.loc["J"].to_list() == ["WEAK SUP", 81.8, 62.8, 74.5, 41.2]
    dashes = table.drop(columns="method").isna()
    assert dashes.sum().sum() == 6 and dashes.loc["L"].to_list() == [False, True, False, True]


def test_class_names_are_vocs_in_its_order():
    from wsl.data.voc import CLASSES

    assert tuple(paper.VOC_NAMES.values()) == tuple(CLASSES)


def test_sentences_and_what_is_not_available():
    values = paper.sentences()
    assert values.loc[["extent_iou_0.5", "extent_iou_0.3", "extent_iou_0.1"], "value"].to_list() == [
        11.74,
        27.47,
        43.54,
    ]
    assert values.loc["small_objects", ["value", "high"]].to_list() == [15, 20]
    assert paper.TABLE3 == paper.FIGURE5 == "not available in our copy of the paper"
