"""Pictures of the book: score maps laid over images, yellow crosses, the image grid and the slider.

Arrays in, HTML out; everything is embedded, so a page needs no other file and no network. Geometry: a score map of
(n, m) cells covers the square canvas on which the image lies top-left (`stretch` mapping of PROTOCOL, Section 4 of
the paper); resized to the canvas and cropped to the image, it lies over the image.
"""

import base64
import html
import io

import numpy as np
from matplotlib import colormaps
from PIL import Image

YELLOW = "#ffdd33"


def data_uri(image: np.ndarray, format: str = "png", width: int | None = None) -> str:
    """uint8 (H, W, 3) as a data URI, reduced to `width` pixels if it is wider. `format`: png or jpeg."""
    picture = Image.fromarray(np.asarray(image, np.uint8))
    if width and picture.width > width:
        picture = picture.resize(
            (width, max(1, round(picture.height * width / picture.width))), Image.LANCZOS
        )
    buffer = io.BytesIO()
    picture.save(buffer, format, **({"quality": 85} if format == "jpeg" else {"optimize": True}))
    return f"data:image/{format};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def resize_to(image: np.ndarray, width: int) -> np.ndarray:
    """uint8 (H, W, 3) reduced to `width` pixels wide, or left as it is where narrower."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return (
        image
        if image.shape[1] <= width
        else np.asarray(Image.fromarray(image).resize((width, height), Image.LANCZOS))
    )


def stretch(score_map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (n, m) of the square canvas -> float32 (H, W) over the image that lies top-left on that canvas."""
    height, width = shape[:2]
    side = max(height, width)
    full = Image.fromarray(np.asarray(score_map, np.float32)).resize((side, side), Image.BILINEAR)
    return np.asarray(full)[:height, :width]


def overlay(
    image: np.ndarray, score_map: np.ndarray, low: float, high: float, cmap: str = "inferno"
) -> np.ndarray:
    """The image in grey, the score map over it: transparent at `low`, bright at `high`. uint8 (H, W, 3)."""
    heat = np.clip((stretch(score_map, image.shape) - low) / max(high - low, 1e-9), 0, 1)
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2) * 0.8
    alpha = 0.8 * np.sqrt(heat)[..., None]
    return np.clip((1 - alpha) * grey + alpha * 255 * colormaps[cmap](heat)[..., :3], 0, 255).astype(np.uint8)


def with_points(image: np.ndarray, points, alt: str, width: int = 480, boxes=()) -> str:
    """The image with a yellow cross a point and its label (Figure 6). Crisp at any size: an SVG over the picture.

    `points`: (x, y, label) in pixels of the image; `boxes`: (x0, y0, x1, y1) drawn thin and dashed.
    """
    height, full = image.shape[:2]
    unit = full / 100  # line widths and letters follow the picture's width
    marks = [
        f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="none" stroke="#fff" '
        f'stroke-width="{0.5 * unit:.2f}" stroke-dasharray="{2 * unit:.1f}"/>'
        for x0, y0, x1, y1 in boxes
    ]
    for x, y, label in points:
        arm, side = 3 * unit, "end" if x > 0.7 * full else "start"
        cross = f"M{x - arm:.1f},{y:.1f}h{2 * arm:.1f}M{x:.1f},{y - arm:.1f}v{2 * arm:.1f}"
        marks.append(f'<path d="{cross}" stroke="#000" stroke-width="{1.7 * unit:.2f}"/>')
        marks.append(f'<path d="{cross}" stroke="{YELLOW}" stroke-width="{unit:.2f}"/>')
        dx = (-1 if side == "end" else 1) * 1.2 * arm
        ty = y - 0.4 * arm if y > 8 * unit else y + 2.2 * arm
        marks.append(
            f'<text x="{x + dx:.1f}" y="{ty:.1f}" text-anchor="{side}" font-size="{4.4 * unit:.1f}" '
            f'font-family="system-ui, sans-serif" font-weight="600" fill="{YELLOW}" stroke="#000" '
            f'stroke-width="{0.9 * unit:.2f}" paint-order="stroke">{html.escape(label)}</text>'
        )
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {full} {height}" '
        f'style="width:100%;max-width:{width}px;height:auto;display:block">'
        f'<image href="{data_uri(image, "jpeg", width)}" width="{full}" height="{height}"/>{"".join(marks)}</svg>'
    )


def gallery(cards, columns: int = 3) -> str:
    """Cards (html, caption) side by side, as many a row as fit, `columns` at most."""
    size = f"minmax(min(100%,max({90 // columns}%,11rem)),1fr)"
    items = "".join(
        f'<div>{body}<div style="font-size:.85em;line-height:1.3;padding-top:.2rem">{caption}</div></div>'
        for body, caption in cards
    )
    style = f"display:grid;grid-template-columns:repeat(auto-fill,{size});gap:.8rem;align-items:start"
    return f'<div class="wsl-gallery" style="{style}">{items}</div>'


def grid(columns, row_labels, caption: str = "") -> str:
    """Figure 1: a grid of pictures, one column an image and one row an epoch, as in the paper.

    `columns`: list of (title, [(uint8 image, alt), ...]), one entry a row label.
    """
    template = f"grid-template-columns:4.5em repeat({len(columns)},minmax(5.5rem,1fr))"
    cells = [
        "<div></div>",
        *(f'<div style="text-align:center">{html.escape(title)}</div>' for title, _ in columns),
    ]
    for row, label in enumerate(row_labels):
        cells.append(f'<div style="align-self:center">{html.escape(label)}</div>')
        for _, pictures in columns:
            image, alt = pictures[row]
            cells.append(
                f'<img src="{data_uri(image, "jpeg", 220)}" alt="{html.escape(alt)}" style="width:100%">'
            )
    note = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure class="wsl-figure"><div class="wsl-grid" tabindex="0" style="display:grid;{template};gap:.3rem;'
        f'overflow-x:auto;font-size:.85em">{"".join(cells)}</div>{note}</figure>'
    )


def slider(frames, labels, alt: str, caption: str = "", width: int = 560) -> str:
    """Pictures under one range control (book/_static/wsl.js moves it); a strip of all frames without script.

    `frames`: uint8 (H, W, 3) arrays; `labels`: what each shows ("epoch 3"). The last frame shows first.
    """
    uris, last = [data_uri(frame, "jpeg", width) for frame in frames], len(frames) - 1
    images = "".join(
        f'<img src="{uri}" alt="{html.escape(f"{alt}, {label}")}" data-label="{html.escape(label)}"'
        f' style="max-width:100%"{"" if k == last else " hidden"}>'
        for k, (uri, label) in enumerate(zip(uris, labels, strict=True))
    )
    # The strip repeats no picture data: without script every frame is shown small by this one style rule.
    strip = "<noscript><style>.wsl-slider img{display:inline!important;width:19%}.wsl-slider-control{display:none}"
    move = (
        "const f=this.closest('figure'),i=f.querySelectorAll('img');i.forEach((p,k)=>p.hidden=k!=this.value);"
        "f.querySelector('output').textContent=i[this.value].dataset.label"
    )
    note = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure class="wsl-slider">{images}<div class="wsl-slider-control">'
        f'<label><input type="range" min="0" max="{last}" value="{last}" step="1" aria-label="{html.escape(alt)}" '
        f'style="width:min(100%,{width}px)" oninput="{move}"></label> <output>{html.escape(labels[-1])}</output></div>'
        f"{strip}</style></noscript>{note}</figure>"
    )
