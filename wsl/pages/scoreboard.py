"""The scoreboard as tables: what `wsl.findings.claims` found, one row a claim."""

from __future__ import annotations

import html
import itertools
import re

from wsl.evaluation.runs import GENERATED, REAL, Run
from wsl.findings import claims, paper, reasons, results
from wsl.findings.claims import Evidence, Judged
from wsl.pages import forest, tables
from wsl.pages.intervals import chart
from wsl.pages.show import Html, interval, machine, number, signed
from wsl.pages.tables import PAPER, Cell

# Verdict -> (CSS class of its badge, sign): never colour alone.
BADGES = {
    claims.REPRODUCED: ("good", "✓"),
    claims.HOLDS: ("good", "✓"),
    claims.NOT_REPRODUCED: ("bad", "✗"),
    claims.DOES_NOT_HOLD: ("bad", "✗"),
    claims.UNDECIDED: ("open", "?"),
    claims.SCENES_UNDECIDED: ("open", "?"),
    claims.NOT_COMPARABLE: ("none", "–"),
    claims.NOT_ATTEMPTED: ("none", "–"),
}
ORIGINS = {"voc-sample": "; from the VOC 2007 test set, our split", "coco-sample": "; from COCO, our split"}  # of the samples
SIGNS = {True: "✓", False: "✗", None: "?"}


def scoreboard(judged: list[Judged]) -> Html:
    """The landing page's table: claim, the paper's words and numbers, evidence, verdict."""
    texts = [("the paper's claim", PAPER), ("photographs", REAL), ("scenes (generated)", GENERATED), ("verdict", "")]
    if not (scenes := any(one.scenes for one in judged)):  # no column that is empty from top to bottom
        del texts[2]
    rows = []
    for one in judged:
        claim = one.claim
        quote = f"“{html.escape(claim.quote)}” " if claim.quote else ""
        title = f'<span id="{claim.id.lower()}">{claim.id}</span> <a href="{claim.page}">{html.escape(claim.short)}</a>'
        rows.append((
            f"{title}<br><small>{quote}{html.escape(claim.cells)}</small>",
            [
                Cell(_evidence(one.real), REAL, left=True),
                *([Cell(_evidence(one.scenes), GENERATED, left=True)] if scenes else []),
                Cell(badge(one.verdict) + (f"<br><small>{html.escape(one.why)}</small>" if one.why else ""), left=True),
            ],
        ))  # fmt: skip
    heads = [[(text, 1, source) for text, source in texts]]
    caption = (
        "Each claim of the paper that can be tested. Numbers are differences in percentage points unless a unit says "
        "otherwise, with the 95% interval of a paired bootstrap over test images, and the range over seeds. Real "
        "photographs decide; a number links to its run, a claim to the page that shows it."
    )
    return tables.table(heads, rows, caption, "scoreboard")


def badge(verdict: str, words: bool = True) -> str:
    """The verdict with its sign; without `words` the sign alone."""
    css, sign = BADGES[verdict]
    return f'<span class="verdict verdict-{css}">{f"{sign} {verdict}" if words else sign}</span>'


def say(evidence: Evidence) -> str:
    """ "+4.1 (2.9 to 5.3); 3 seeds: 3.8 to 4.4", plain text."""
    text = f"{_value(evidence)} ({interval(evidence.low, evidence.high)})"
    if evidence.seeds:
        text += f"; {forest.seeds(dict(enumerate(evidence.seeds)))}"
    return text


def _value(evidence: Evidence) -> str:
    unit = {"points": "", "%": "%"}.get(evidence.unit, f" {evidence.unit}")
    return f"{number(evidence.value, sign=evidence.unit != '%')}{unit}"


def _whole(evidence: Evidence) -> str:
    """`say` with a value and its interval on one line, HTML."""
    value, *seeds = say(evidence).split("; ")
    return "; ".join([f'<span class="whole">{value}</span>', *seeds])


def _evidence(several: tuple[Evidence, ...]) -> str:
    if not several:
        return "<small>no run</small>"
    parts = []
    order = [e.rule for e in several]
    several = sorted(several, key=lambda e: (not e.decides, order.index(e.rule)))
    for rule, group in itertools.groupby(several, key=lambda e: e.rule):
        asked = f": holds if it {rule.where()}{rule.also}" if rule.margins() else ""
        parts.append(f"<i>{html.escape(rule.label + asked)}</i>")
        for e in group:
            number = f'<a href="{tables.href(e.run)}" title="{html.escape(e.data)}">{_whole(e)}</a>'
            parts.append(f"{SIGNS[e.outcome]} {_data(e)}: {number}" + (f"; {html.escape(e.note)}" if e.note else ""))
    return f"<small>{'<br>'.join(parts)}</small>"


def _data(evidence: Evidence) -> str:
    return evidence.layout.upper() if evidence.decides else f"for information, {evidence.layout.upper()}"


MAIN = {  # the paper's main claims in a few words each, for the first screen
    "C1": "It classifies better than a network that sees each image only as a whole",
    "C8": "It points at the objects, far better than at the center of the image",
    "C9": "It points as well as R-CNN*, a detector that was trained on boxes",
    "C14": "It classifies as well as that detector",
}
LETTERS = (  # of the paper's Table 2, where they first stand
    ("J", "weak supervision", "trained from the classes in each image alone; the highest score of any position counts"),
    ("H", "full images", "the same network, applied once to the whole image"),
    ("K", "center", "J's scores, and always the center of the image as the location"),
    ("L", "R-CNN*", "a detector trained on the objects' boxes"),
)


def first_screen(judged: list[Judged], columns: claims.Columns, picture: str = "") -> Html:
    """What was claimed, whether it holds, how sure that is, on which data; `picture` (HTML) beside it."""
    letters = ", ".join(f'<abbr title="{words}">{letter}</abbr> {name}' for letter, name, words in LETTERS)
    return Html(
        '<div class="wsl-first"><div>'
        "<p><b>Claimed.</b> A network that is told only <em>which</em> classes of objects each training image shows learns by "
        "itself <em>where</em> they are, and does about as well as methods that are trained on boxes.</p>"
        f"<p><b>Found.</b> {_answer(judged)}{tally(judged)} {_refuted(judged)}The main ones:</p>{_main(judged)}"
        f"<p><b>How sure.</b> {_sure(columns)}</p>"
        f"<p><small>Letters of the paper's Table 2: {letters}.</small></p>{decisive(judged, MAIN)}"
        f"</div><div>{picture}{basis(columns)}</div></div>"
    )


def _answer(judged: list[Judged]) -> str:
    """The title's question in words, for each data set with photographs: how far J points above the center, and above R-CNN*."""
    found = {one.claim.id: {e.layout: e for e in one.real} for one in judged if one.claim.id in ("C8", "C9")}
    words = {True: "yes", None: "only partly", False: "no"}
    parts = []
    for layout, e in found.get("C8", {}).items():
        other = found.get("C9", {}).get(layout)
        but = ", though boxes do better" if other and other.high < 0 else ""
        beside = f", {signed(other.value)} against R-CNN*" if other else ""
        points = f"{signed(e.value)} points of localization mAP against the image center{beside}"
        parts.append(f"On {layout.upper()} {words[e.outcome]}{but}: {points}.")
    return f"Is localization for free? {' '.join(parts)} " if parts else ""


def _refuted(judged: list[Judged]) -> str:
    """The claims that are not reproduced, by name."""
    refuted = [one.claim for one in judged if one.verdict == claims.NOT_REPRODUCED]
    names = [f'<a href="#{claim.id.lower()}">{claim.id}</a>, “{html.escape(claim.short)}”' for claim in refuted]
    return f"Not reproduced: {'; '.join(names)}. " if names else ""


def _main(judged: list[Judged]) -> str:
    """The paper's main claims, a line each: in words, the verdict, and why it is open."""
    lines = []
    for one in judged:
        if words := MAIN.get(one.claim.id):
            why = f" <small>{html.escape(one.why)}</small>" if one.why else ""
            lines.append(f'<li>{words} (<a href="#{one.claim.id.lower()}">{one.claim.id}</a>): {badge(one.verdict)}{why}</li>')
    return f'<ul class="wsl-answer">{"".join(lines)}</ul>'


def _sure(columns: claims.Columns) -> str:
    """How far the numbers can be trusted: intervals, and the size of the samples beside the paper's."""
    shares = [
        f"{n / paper.TRAINING[layout]:.1%} of its training images of {layout.upper()} ({n:,} of {paper.TRAINING[layout]:,})"
        for layout, several in columns.items()
        for column in several
        if column.source == REAL and (n := results.trained_on(column))
    ]
    text = "A claim is decided only by the whole of a 95% interval, from resampling the test photographs: it is undecided where "
    text += f"that crosses the <em>margin</em>, the size that its rule asks for, such as {claims.FAR_ABOVE:g} points for “far”."
    return text + (f" The samples are small beside the paper's: {', '.join(shares)}." if shares else "")


def basis(columns: claims.Columns) -> Html:
    """What everything rests on: training and test photographs of each sample, network, seeds, and what is missing."""
    lines, trunks = [], set()
    for column in (column for several in columns.values() for column in several):
        result = column.load("weak_sup")
        if result is None or column.source != REAL:
            continue
        train = f"{n:,} training, " if (n := results.trained_on(column)) else ""
        seeds = f"{len(result.runs)} seed{'s' * (len(result.runs) > 1)}"
        origin = ORIGINS.get(column.profile, "")
        lines.append((html.escape(result.title), f"{train}{result.n_images:,} test photographs; {seeds}{origin}"))
        trunks.add(result.run.trunk)
    if trunks:
        network = " and ".join(tables.trunk(trunk).replace("Lite", "EfficientNet-Lite") for trunk in sorted(trunks))
        lines.append(("network", f"{network}, pre-trained on ImageNet and frozen; only a head of two layers is trained"))
    lines.append(("missing", "VOC 2012 and COCO 2014 themselves, the printed cells of Table 3, the weights of AlexNet"))
    return Html('<dl class="wsl-basis">' + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines) + "</dl>")


def decisive(judged: list[Judged], ids=None) -> Html:
    """The differences that decide the claims (those of `ids`, default: all), in points, with the paper's values as marks."""
    rows, sources = [], set()
    for one in judged:
        for e in one.real or one.scenes:
            if e.unit == "points" and (ids is None or one.claim.id in ids):
                name, sign = re.sub(r" in (\w+) mAP", r", \1", e.label), SIGNS[e.outcome] if e.decides else ""
                values, full = (e.value, e.low, e.high), f"{one.claim.id}, {e.label}, {e.data}"
                rows.append(forest.row(name, e.layout, e.run, values, e.paper, e.rule.margins(), sign, full))
                sources.add(e.run.source)
    if not rows:
        return Html("<p>No run is here yet.</p>")
    caption = "Differences in points with their 95% interval; ✓ holds, ✗ contradicted, ? undecided, no sign: for information."
    return chart(rows, "The differences that decide, with the paper's values", forest.key(sources, True), caption)


def tally(judged: list[Judged]) -> Html:
    """ "16 claims of the paper: 8 reproduced, 1 not reproduced, ..." """
    counts = [(verdict, sum(one.verdict == verdict for one in judged)) for verdict in BADGES]
    words = ", ".join(f"<b>{n}</b> {verdict}" for verdict, n in counts if n)
    return Html(f"<b>{len(judged)} claims</b> of the paper: {words}.")


def rules(layouts=("voc", "coco")) -> Html:
    """Each claim's test in words, as it was fixed in code before the runs."""
    rows = []
    for claim in claims.CLAIMS:
        lines = [f"{k.upper()}: {html.escape(test.rule)}" for k in layouts for test in claim.tests.get(k, ())]
        text = "<br>".join(lines) or f"not comparable: {html.escape(claim.not_comparable)}"
        title = f'{claim.id} <a href="index.html#{claim.id.lower()}">{html.escape(claim.short)}</a>'
        rows.append((title, [Cell(text, left=True)]))
    caption = "The rule of each claim: “reproduced” if all of it holds, “not reproduced” if one part is contradicted by its "
    caption += "whole interval, else “undecided”."
    return tables.table([[("claim", 1, ""), ("holds if", 1, "")]], rows, caption, "rules")


def margins() -> list[str]:
    """The sizes on which the rules stand, with their reasons in the paper's own numbers."""
    return [
        f"*No significant benefit* (C6, C15): less than {claims.NO_BENEFIT:g} points; the paper calls 0.7 points (I and J on "
        f"COCO) none. In localization {claims.NO_BENEFIT_LOCATION:g}, as its own I is 1.7 above J there.",
        f"*On par*, *comparable* (C9, C14): within {claims.ON_PAR:g} points; the paper's J and L differ by 0.3 in localization.",
        f"*Far above* (C8): more than {claims.FAR_ABOVE:g} points of localization mAP; the paper's J is 23.6 and 22.1 above K.",
        f"*About x points* (C4, C5): the value between {claims.ABOUT[0]:g} and {claims.ABOUT[1]:g} times x, and the whole "
        "interval above 0; contradicted if the whole interval lies outside this band, or below 0.",
        "*Falls steeply* (C12): less than half is left; in the paper 27%.",
    ]


def verdict_table(judged: list[Judged]) -> Html:
    """Claim, number that decided, verdict with its reason: the scoreboard without quotes."""
    rows = []
    for one in judged:
        shown = one.real or one.scenes
        source = REAL if one.real else GENERATED if one.scenes else ""
        lines = [f'{_data(e)}, {html.escape(e.label)}: <a href="{tables.href(e.run)}">{_whole(e)}</a>' for e in shown]
        lines += [html.escape(one.why)] if one.why else []
        rows.append((
            f'{one.claim.id} <a href="{one.claim.page}">{html.escape(one.claim.short)}</a>',
            [Cell(f"<small>{'<br>'.join(lines)}</small>", source, left=True),
             Cell(badge(one.verdict), left=True)],
        ))  # fmt: skip
    heads = [[("claim", 1, ""), ("evidence", 1, ""), ("verdict", 1, "")]]
    return tables.table(heads, rows, "Verdicts, computed from the runs.", "report-claims")


def verdicts_by_trunk(root, profiles: dict[str, str]) -> Html | None:
    """The verdict on each claim that the runs of two trunks or more can judge; `profiles`: by layout, voc and coco (D27)."""
    trunks = sorted({trunk for profile in profiles.values() for trunk in results.trunks(root, profile)})
    columns = [{layout: [results.Column(root, profile, trunk)] for layout, profile in profiles.items()} for trunk in trunks]
    judged = [claims.judge_all(own) for own in columns]
    rows = []
    for several in zip(*judged, strict=True):
        found = [[e for e in one.real if e.decides] for one in several]
        if sum(map(bool, found)) > 1:
            claim = several[0].claim
            name = f'{claim.id} <a href="index.html#{claim.id.lower()}">{html.escape(claim.short)}</a>'
            labels = dict.fromkeys(html.escape(e.label) for own in found for e in own)
            cells = [_verdict_cell(one, own) for one, own in zip(several, found, strict=True)]
            rows.append((f"{name}<br><small>{'; '.join(labels)}</small>", cells))
    heads = [[("claim", 1, ""), *((tables.trunk(trunk), 1, "") for trunk in trunks)]]
    caption = (
        "Verdicts by trunk, by the rules of the first page: ✓ reproduced, ✗ not reproduced, ? undecided. Those of "
        "EfficientNet-Lite0 count. Below each, what decides it, with its 95% interval; points, where no unit is given."
    )
    return tables.table(heads, rows, caption, "claims-by-trunk") if rows else None


def _verdict_cell(one: Judged, found: list[Evidence]) -> Cell:
    if not found:
        return Cell("–", "", "not run on this trunk")
    values = [(f'{e.layout.upper()} <a href="{tables.href(e.run)}">{_value(e)}</a>', interval(e.low, e.high)) for e in found]
    lines = "<br>".join(f'<span class="whole">{line}</span>' for value in values for line in value)
    text = f"{badge(one.verdict, words=False)}<br><small>{lines}</small>"
    return Cell(text, found[0].run.source, "; ".join(filter(None, (one.verdict, one.why))), left=True)


def effort_table(recorded: list[Run], here: list[Run]) -> Html:
    """Runs, machine hours and machines, by profile; the training of a head counts once, whatever is predicted with it."""
    rows = []
    for made, runs in (("recorded", recorded), ("made here", here)):
        for _, group in itertools.groupby(sorted(runs, key=lambda run: run.profile), key=lambda run: run.profile):
            group = list(group)
            manifests = [run.manifest for run in group]
            heads = {m.get("head_sha256"): (m.get("training") or {}).get("train_seconds") or 0 for m in manifests}
            minutes = (sum(m.get("predict_seconds") or 0 for m in manifests) + sum(heads.values())) / 60
            machines = sorted({machine(m.get("hardware")) for m in manifests} - {""})
            texts = (f"{len(manifests)}", f"{minutes:,.0f}", html.escape("; ".join(machines)) or "not recorded")
            cells = [Cell(text, group[0].source, left=text is texts[-1]) for text in texts]
            rows.append((f"{html.escape(group[0].title)}, {made}", cells))
    if not rows:
        return Html("<p>No run is here yet.</p>")
    heads = [[("data", 1, ""), ("runs", 1, ""), ("minutes in all", 1, ""), ("machine", 1, "")]]
    return tables.table(heads, rows, "What the runs took.", "effort")


def explanations(judged: list[Judged]) -> Html | None:
    """Why each of these claims may be open, and what would refute that; None where nothing is known of any."""
    known = [(one.claim, reasons.EXPLANATIONS[one.claim.id]) for one in judged if one.claim.id in reasons.EXPLANATIONS]
    rows = [(f"{claim.id} {html.escape(claim.short)}", [Cell(text, left=True) for text in texts]) for claim, texts in known]
    heads = [[("claim", 1, ""), ("best explanation", 1, ""), ("what would refute it", 1, "")]]
    return tables.table(heads, rows, "Why these claims may be open.", "explanations") if rows else None
