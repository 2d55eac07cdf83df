"""Pictures as they come: grey, CMYK, turned, tiny, huge, broken."""

import numpy as np
import pytest
import torch
from PIL import Image

from wsl.data.images import on_canvas, read_image, upright_size
from wsl.errors import StudyError
from wsl.network.engines import TorchEngine, resized
from wsl.network.features import canvas_of
from wsl.network.trunk import CAFFE, IMAGENET, LITE, Trunk


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "1", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "jpg" if mode in ("L", "CMYK") else "png"
    deep = Image.fromarray(np.full((20, 30), 128 * 256, np.uint16))
    (deep if mode == "I;16" else Image.new("L", (30, 20), 128).convert(mode)).save(tmp_path / f"a.{suffix}")
    rgb = read_image(tmp_path / f"a.{suffix}", (30, 20))
    assert rgb.shape == (20, 30, 3) and rgb.dtype == np.uint8
    assert mode == "1" or abs(int(rgb[10, 10, 1]) - 128) <= 2


def test_exif_orientation_is_applied_unless_the_annotation_has_the_stored_size(tmp_path):
    picture = Image.new("RGB", (30, 20))
    picture.paste((255, 0, 0), (0, 0, 15, 20))  # left half red
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    picture.save(tmp_path / "a.png", exif=exif)
    path = tmp_path / "a.png"
    assert upright_size(path) == (20, 30)
    upright = read_image(path)
    assert upright.shape == (30, 20, 3) and upright[0, 10].tolist() == [255, 0, 0] and upright[-1, 10].tolist() == [0, 0, 0]
    assert read_image(path, (30, 20)).shape == (20, 30, 3)
    np.testing.assert_array_equal(read_image(path, (20, 30)), upright)


@pytest.mark.parametrize("size", [(1, 900), (20_000, 3), (20_000, 300), (1, 1)])
def test_extreme_shapes_fit_the_canvas(tmp_path, size):
    path = tmp_path / "a.jpg"
    Image.new("RGB", size, (200, 0, 0)).save(path)
    rgb = read_image(path, size, longest=500)
    small, (width, height) = on_canvas(rgb, 500)
    assert max(width, height) == 500 and min(width, height) >= 1 and small.shape == (height, width, 3)
    assert rgb.nbytes < 4 * 1500 * 1500  # a wide JPEG is decoded at reduced size


def test_pils_limit_of_pixels_is_lifted_for_our_own_reading_alone(tmp_path, monkeypatch):
    """Without it a wide JPEG can be read, at reduced size; what else opens pictures keeps its guard."""
    assert Image.MAX_IMAGE_PIXELS is not None  # wsl.data.images is imported
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (3000, 20)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_image(path, longest=500).shape[1] <= 1000 and upright_size(path) == (3000, 20)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    monkeypatch.setattr("wsl.data.images.MAX_PIXELS", 1000)
    with pytest.raises(StudyError, match="wide.jpg: 3000x20 pixels are more than 1,000; scale it down"):
        read_image(path)


def test_broken_files_are_named(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    for name, content in {"empty.jpg": b"", "cut.jpg": whole.read_bytes()[:1500], "text.jpg": b"not a picture"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StudyError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name)
    with pytest.raises(StudyError, match="none.jpg: no such image"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(StudyError, match="is 64x64 pixels, its annotation says 30x20"):
        read_image(whole, (30, 20))


def test_padding_is_the_mean_colour_after_normalisation():
    trunk = Trunk("none", TorchEngine(torch.nn.Identity()), IMAGENET, 32, "")
    canvas, extent = canvas_of(np.full((20, 40, 3), 255, np.uint8), trunk, 100)
    assert extent == (100, 50)
    assert (canvas[:, 50:] == 0).all() and (canvas[:, :50] > 2).all()
    assert resized(canvas[None], 70).shape == (1, 3, 70, 70)


def test_input_conventions():
    rgb = np.array([[[255, 127, 0]]], np.uint8)
    assert LITE(rgb).flatten().tolist() == [1.0, 0.0, -127 / 128]
    assert CAFFE(rgb).flatten().tolist() == [-104.0, 10.0, 132.0]  # blue first
