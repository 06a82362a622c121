"""Draws curves as SVG, without help."""

import math

WIDTH, HEIGHT, EDGE = 640, 340, 56
COLOURS = {"Kamailio": "#b5562c", "Offhook": "#1f6f8b"}


def pictures(rounds):
    """All curves that the rounds have, by name."""
    found = {
        "rate": chart("processors in use", "calls a second", points(rounds, "max_steps", "rate", "exchange")),
        "bindings-reg": chart("µs a registration", "bindings held", points(rounds, "growth", "bindings", "reg"), True),
        "bindings-call": chart("µs a call", "bindings held", points(rounds, "growth", "bindings", "call"), True),
        "held-call": chart("µs a call", "calls held", points(rounds, "held_growth", "held", "call"), True),
    }
    return {name: picture for name, picture in found.items() if picture}


def points(rounds, key, x, y):
    """The longest curve of each exchange: later searches begin higher."""
    found = {}
    for one in rounds:
        line = [(step[x], step[y]) for step in one.get(key, [])]
        if len(line) > len(found.get(one["exchange"], [])):
            found[one["exchange"]] = line
    return found


def chart(up, right, lines, tenfold=False):
    """One picture; with a logarithmic axis to the right if `tenfold`. None if there is nothing to draw."""
    if not lines:
        return None
    scale = (lambda value: math.log10(max(value, 1))) if tenfold else float
    every = [point for line in lines.values() for point in line]
    left = min(scale(x) for x, _ in every) if tenfold else 0
    wide, high = (max(scale(x) for x, _ in every) - left) or 1, max(y for _, y in every) or 1

    def place(x, y):
        return (EDGE + (scale(x) - left) / wide * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y / high * (HEIGHT - 2 * EDGE))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<path d="M{EDGE} {EDGE} V{HEIGHT - EDGE} H{WIDTH - EDGE}" fill="none" stroke="#888"/>',
           f'<text x="{EDGE}" y="{EDGE - 28}">{up}</text>',
           f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 12}" text-anchor="end">{right}</text>']
    for part in (0.25, 0.5, 0.75, 1):
        y = place(every[0][0], part * high)[1]
        out += [f'<path d="M{EDGE} {y:.1f} H{WIDTH - EDGE}" stroke="#eee"/>',
                f'<text x="{EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{part * high:.3g}</text>']
    for x in marks(x for x, _ in every):
        out.append(f'<text x="{place(x, 0)[0]:.1f}" y="{HEIGHT - EDGE + 16}" text-anchor="middle">{x:,}</text>')
    for name, line in sorted(lines.items()):
        spots, colour = [place(*point) for point in line], COLOURS.get(name, "#555")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        x, y = spots[-1]
        out += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots),
                f'<text x="{x - 6:.1f}" y="{y - 8:.1f}" fill="{colour}" text-anchor="end">{name}</text>']
    return "\n".join([*out, "</svg>", ""])


def marks(values):
    """A few of the values, to be written below."""
    values = sorted(set(values))
    return values[::max(len(values) // 5, 1)]
