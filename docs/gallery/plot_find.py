"""
Find sounds in many films
=========================

``av-tag find`` searches the stored results of many films. Here the results of eleven demo scenes,
with true times and made probabilities, are searched for sirens in films without a bus.
"""

# %%
# A run, and a search in it:
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from av_tagger.bench.demo_run import find_in, write_run

query = "any siren AND NOT bus"
with tempfile.TemporaryDirectory() as folder:
    results = write_run(Path(folder), range(6, 17))
    found = find_in(Path(folder), query)

# %%
# The hits, best first, each with the events that matched:
print(f"{query}: {found.total} of {len(results)} films")
for hit in found.hits:
    events = ", ".join(f"{e.label} {e.start:.1f}–{e.end:.1f} s" for e in hit.events)
    print(f"{hit.score:.2f}  {Path(hit.file).name}  {events}")

# %%
# The events of all films; those that the query found are coloured:
matched = {(h.file, e.label, round(e.start, 1)) for h in found.hits for e in h.events}
for row, result in enumerate(results):
    for tag in result.tags:
        for event in tag.events:
            hit = (str(result.clip.path), tag.label, round(event.start, 1)) in matched
            bar = [(event.start, event.end - event.start)]
            colour = "crimson" if hit else "lightgray"
            plt.broken_barh(bar, (row - 0.35, 0.7), color=colour, zorder=2 + hit)
plt.yticks(range(len(results)), [result.clip.path.name for result in results])
plt.gca().invert_yaxis()
plt.xlabel(f"seconds; red: found by {query}")
plt.tight_layout()
plt.show()
