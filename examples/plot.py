"""Mean gain per model and checkpoint: plot.py REWARDS.parquet SUMMARY.parquet PLOT.svg

Reads a table of vgh, writes one of its own and a figure. Nothing here knows
vgh: `examples/command.toml` makes a cached stage of it.
"""
import sys

import numpy as np
import pandas as pd

WIDTH, HEIGHT, MARGIN = 480, 300, 45
COLOURS = ["#1b6ca8", "#d1495b", "#3a7d44", "#8a5a00"]


def summarise(rewards: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over RL seeds with its standard error."""
    gain = rewards.groupby(["model", "step"], as_index=False)["gain"]
    summary = gain.agg(mean="mean", std="std", seeds="count")
    summary["error"] = summary["std"] / np.sqrt(summary["seeds"])
    return summary.drop(columns="std")


def draw(summary: pd.DataFrame) -> str:
    """One line per model, a bar of one standard error at each checkpoint."""
    low = (summary["mean"] - summary["error"]).min()
    high = (summary["mean"] + summary["error"]).max()
    x = lambda step: np.interp(step, [summary["step"].min(), summary["step"].max()], [MARGIN, WIDTH - 80])
    y = lambda gain: np.interp(gain, [low, high], [HEIGHT - MARGIN, 20])
    parts = []
    for colour, (model, rows) in zip(COLOURS, summary.groupby("model")):
        points = [(x(step), y(mean)) for step, mean in zip(rows["step"], rows["mean"])]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (a, _), mean, error in zip(points, rows["mean"], rows["error"]):
            parts.append(f'<path d="M{a:.1f} {y(mean - error):.1f}V{y(mean + error):.1f}" stroke="{colour}"/>')
        parts.append(f'<text x="{points[-1][0] + 8:.1f}" y="{points[-1][1] + 4:.1f}" fill="{colour}">{model}</text>')
    for step in sorted(set(summary["step"])):
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{step}</text>')
    for gain in (low, high):
        parts.append(f'<text x="{MARGIN - 8}" y="{y(gain) + 4:.1f}" text-anchor="end">{gain:.2f}</text>')
    title = '<text x="10" y="14">gain by RL, after pretraining steps</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">{title}{"".join(parts)}</svg>\n'
    )


def main(rewards: str, summary: str, plot: str) -> None:
    table = summarise(pd.read_parquet(rewards))
    table.to_parquet(summary, index=False)
    with open(plot, "w", encoding="utf-8") as file:
        file.write(draw(table))
    print(table.to_string(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
