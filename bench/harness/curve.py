"""Draws the cost at each step of the search for the highest rate, as SVG."""

WIDTH, HEIGHT, EDGE = 640, 360, 56
COLOURS = {"Kamailio": "#b5562c", "Offhook": "#1f6f8b"}


def curves(rounds):
    """Processors in use against calls a second, of the last search of each exchange; nothing if there was none."""
    lines = {}
    for found in rounds:
        if found.get("max_steps"):
            lines[found["exchange"]] = [(step["rate"], step["exchange"]) for step in found["max_steps"]]
    if not lines:
        return None
    points = [point for line in lines.values() for point in line]
    right, top = max(x for x, _ in points), max(y for _, y in points) or 1
    place = lambda x, y: (EDGE + x / right * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y / top * (HEIGHT - 2 * EDGE))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<path d="M{EDGE} {EDGE} V{HEIGHT - EDGE} H{WIDTH - EDGE}" fill="none" stroke="#888"/>',
           f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 16}" text-anchor="end">calls a second, up to {right:,}</text>',
           f'<text x="{EDGE}" y="{EDGE - 32}">processors in use, up to {top:.2f}</text>']
    for number, (name, line) in enumerate(sorted(lines.items())):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        colour = COLOURS.get(name, "#555")
        out += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{EDGE + 12}" y="{EDGE + 16 * number}" fill="{colour}">{name}</text>']
    return "\n".join([*out, "</svg>", ""])
