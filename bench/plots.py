# Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
"""Bars with the least and the most, as SVG."""

from xml.sax.saxutils import escape

LABELS, BARS, VALUES = 260, 400, 90  # widths
LINE, TOP = 26, 64
OURS, OTHERS, INK, FAINT = "#1f6fb2", "#a9b4bf", "#1c2329", "#66707a"


def text(x, y, words, anchor="start", size=13, color=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}" '
        f'font-weight="{weight}">{escape(words)}</text>')


def line(x1, y1, x2, y2, color=INK, width=1.2, dash=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"'
        + (f' stroke-dasharray="{dash}"' if dash else "") + "/>")


def bars(title, subtitle, rows, form):
    """`rows` is [(label, least, middle, most)]. What is ours has a colour of its own."""
    scale = BARS / max(most for *_, most in rows)
    width, height = LABELS + BARS + VALUES, TOP + LINE * len(rows) + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(16, 26, title, size=16, weight="bold"), text(16, 46, subtitle, size=12, color=FAINT)]
    bottom = TOP + LINE * len(rows)
    if "ratio" in subtitle:
        parts.append(line(LABELS + scale, TOP - 4, LABELS + scale, bottom, FAINT, 1, "3 3"))
    for number, (label, least, middle, most) in enumerate(rows):
        y = TOP + LINE * number
        ours = "duet" in label
        parts += [
            text(LABELS - 10, y + 17, label, "end", weight="bold" if ours else "normal"),
            f'<rect x="{LABELS}" y="{y + 4}" width="{max(middle * scale, 1):.1f}" height="{LINE - 8}" '
            f'fill="{OURS if ours else OTHERS}"/>',
        ]
        if most > least:
            middle_y = y + LINE / 2
            parts += [line(LABELS + least * scale, middle_y, LABELS + most * scale, middle_y),
                line(LABELS + least * scale, middle_y - 4, LABELS + least * scale, middle_y + 4),
                line(LABELS + most * scale, middle_y - 4, LABELS + most * scale, middle_y + 4)]
        parts.append(text(width - 16, y + 17, form.format(middle), "end"))
    parts += [line(LABELS, TOP - 4, LABELS, bottom), "</svg>"]
    return "\n".join(parts) + "\n"
