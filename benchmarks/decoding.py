"""A photograph from its JPEG file to the canvas that the network takes, on one core: decoded, resized, normalised, padded."""

from __future__ import annotations

from benchmarks.measure import OURS, Options, Side, Timing, dataset_of, photographs, repeat

AT_ONCE = 50  # photographs a run


def ours(options: Options) -> Timing:
    from wsl.network.engines import one_pool
    from wsl.network.features import Features
    from wsl.network.trunk import load_trunk

    features = Features(load_trunk(), dataset_of(photographs(options), AT_ONCE), 500)
    with one_pool():
        timing = repeat(lambda: list(features.pictures([[i] for i in range(AT_ONCE)], want_warped=False)))
    return timing.scaled(1 / AT_ONCE, "decode, resize, normalise, pad")


def _decoded(decode, options: Options) -> Timing:
    files = photographs(options)
    contents = [file.read_bytes() for file in files]
    timing = repeat(lambda: [decode(contents[i % len(files)]) for i in range(AT_ONCE)])
    return timing.scaled(1 / AT_ONCE, "decoding alone, from memory")


def libjpeg_turbo(options: Options) -> Timing:
    from simplejpeg import decode_jpeg

    return _decoded(decode_jpeg, options)


def pillow(options: Options) -> Timing:
    import io

    import numpy as np
    from PIL import Image

    return _decoded(lambda content: np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), options)


def sides(options: Options) -> list[Side]:
    found = {OURS: ours, "bare libjpeg-turbo (simplejpeg)": libjpeg_turbo, "Pillow": pillow}
    return [Side("decode a photograph", name, run) for name, run in found.items()]
