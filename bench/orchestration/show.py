"""The bench's figures as people read them."""

from typing import Any

_WIDTH = 40


def cost_table(rows: list[dict[str, Any]]) -> str:
    """A line for each figure, a column for each size, and what a promotion costs as bars."""
    names = ["promotions that wait at once", *(f"{row['promotions']:,}" for row in rows)]
    lines = [
        names,
        ["completed", *(f"{row['completed']:,}" for row in rows)],
        ["to the approval, promotions/s", *_each(rows, "to_approval_per_second", "{:.1f}")],
        ["from the approval on, promotions/s", *_each(rows, "from_approval_per_second", "{:.1f}")],
        ["approval → next activity, p50 / p99 ms", *_pair(rows, "answer_seconds")],
        ["events each", *_each(rows, "events", "{:.0f}")],
        ["kB of history each", *(f"{row['bytes'] / 1000:.0f}" for row in rows)],
        ["replay of one, p50 / p99 ms", *_pair(rows, "replay_seconds")],
        *_parts(rows, "cpu_seconds", "CPU s each, {}", 1, "{:.2f}"),
        *_parts(rows, "waiting_bytes", "kB each while it waits, {}", 1e-3, "{:.0f}"),
    ]
    first = max(len(line[0]) for line in lines)
    table = "\n".join(
        line[0].ljust(first) + "".join(cell.rjust(14) for cell in line[1:]) for line in lines
    )
    return f"{table}\n\n{cost_bars(rows)}"


def cost_bars(rows: list[dict[str, Any]]) -> str:
    """CPU seconds of server and workers for one promotion: as long at every size, or not."""
    costs = [sum(row["cpu_seconds"].values()) for row in rows]
    lines = ["CPU seconds for one promotion (server + worker)"]
    for row, cost in zip(rows, costs, strict=True):
        bar = "█" * round(_WIDTH * cost / max(costs))
        lines.append(f"{row['promotions']:>6,} │{bar} {cost:.2f}, {cost / costs[0]:.2f}x")
    return "\n".join(lines)


def load_table(found: dict[str, Any]) -> str:
    """How the promotions under load ended."""
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in found["outcomes"].items())
    again = ", ".join(f"{kind}: {count}" for kind, count in found["done_twice"].items())
    return "\n".join(
        [
            f"{found['promotions']:,} promotions of {found['services']} services, "
            f"{found['kills']} workers killed, {found['seconds']:.0f} s",
            f"ended: {ended}",
            f"records written: {found['records']:,}; split aliases: {found['split_aliases']}",
            f"activities that ran again after their effect: {again or 'none'}",
            "nothing lost" if found["nothing_lost"] else "SOMETHING WAS LOST",
        ]
    )


def _each(rows: list[dict[str, Any]], name: str, form: str) -> list[str]:
    return [form.format(row[name]) for row in rows]


def _pair(rows: list[dict[str, Any]], name: str) -> list[str]:
    return [f"{row[name][0] * 1000:.0f} / {row[name][1] * 1000:.0f}" for row in rows]


def _parts(
    rows: list[dict[str, Any]], name: str, title: str, scale: float, form: str
) -> list[list[str]]:
    return [
        [title.format(part), *(form.format(row[name][part] * scale) for row in rows)]
        for part in rows[0][name]
    ]
