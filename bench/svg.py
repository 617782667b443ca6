"""Plots for the documentation: horizontal bars, as SVG."""

import html

WIDTH, LABEL, ROW = 900, 330, 26
COLOURS = ("#4878a8", "#e0a040", "#70a060", "#a05878", "#909090")
TEXT = 'font-family="sans-serif" font-size="13" fill="#333"'


def text(x, y, said, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {TEXT}>{html.escape(said)}</text>'


def rect(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height}" fill="{colour}"/>'


def line(x1, y1, x2, y2, colour, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def page(height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([head, rect(0, 0, WIDTH, height, "#fff"), *parts, "</svg>", ""])


def ratios(title, rows):
    """Rows of label, ratio, least, largest, target or None: a bar each, mod_wsgi at 1, the target as a mark."""
    most = max(1.1, *(row[3] for row in rows))

    def at(value):
        return LABEL + (WIDTH - LABEL - 60) * value / most

    height = 50 + ROW * len(rows)
    parts = [text(10, 22, title), line(at(1), 34, at(1), height - 8, "#888"), text(at(1), 30, "mod_wsgi = 1", "middle")]
    for number, (label, ratio, least, largest, target) in enumerate(rows):
        y = 40 + ROW * number
        missed = target is not None and ratio > target
        parts.append(text(LABEL - 10, y + 14, label, "end"))
        parts.append(rect(LABEL, y + 3, at(ratio) - LABEL, 14, "#c06040" if missed else COLOURS[0]))
        parts.append(line(at(least), y + 10, at(largest), y + 10, "#222"))
        if target is not None:
            parts.append(line(at(target), y, at(target), y + 20, "#208040", 3))
        parts.append(text(max(at(ratio), at(largest)) + 6, y + 14, f"{ratio:.2f}"))
    return page(height, parts)


def stacks(title, names, rows):
    """Rows of label and values, one on the other."""
    most = max(sum(values) for _, values in rows)
    height = 70 + ROW * len(rows)
    parts = [text(10, 22, title)]
    for number, name in enumerate(names):
        parts += [rect(LABEL + 110 * number, 34, 12, 12, COLOURS[number]), text(LABEL + 16 + 110 * number, 45, name)]
    for number, (label, values) in enumerate(rows):
        y, x = 56 + ROW * number, LABEL
        parts.append(text(LABEL - 10, y + 14, label, "end"))
        for colour, value in zip(COLOURS, values):
            width = (WIDTH - LABEL - 60) * value / most
            parts.append(rect(x, y + 3, width, 14, colour))
            x += width
        parts.append(text(x + 6, y + 14, f"{sum(values):.0f}"))
    return page(height, parts)
