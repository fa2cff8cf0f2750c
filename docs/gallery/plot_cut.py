"""
What to keep of a film
======================

``av-tag cut`` plans a film from the events of its result. Here the plans for three events of one
minute: what is kept, left out, split and chosen for a reel of eight seconds.
"""

# %%
import matplotlib.pyplot as plt

from av_tagger.collection.parts import CutRequest, planned_films
from av_tagger.scores import Event

length = 60.0
events = [
    ("Dog", Event(5.0, 8.0, peak=0.9)),
    ("Dog", Event(20.0, 24.0, peak=0.6)),
    ("Siren", Event(40.0, 52.0, peak=0.8)),
]

# %%
requests = {
    "events": CutRequest("extract", pad=0.0),
    "--keep": CutRequest("keep"),
    "--drop": CutRequest("drop"),
    "--split": CutRequest("split"),
    "--reel 8": CutRequest("reel", seconds=8.0),
}
for row, (name, request) in enumerate(requests.items()):
    films = planned_films(request, events, length)
    for number, film in enumerate(films):
        parts = [(span.start, span.seconds) for span in film.spans]
        plt.broken_barh(parts, (row - 0.35, 0.7), color=f"C{number % 8}", edgecolor="white")
    print(f"{name}: {len(films)} film(s), {sum(s.seconds for f in films for s in f.spans):.1f} s")
plt.yticks(range(len(requests)), list(requests))
plt.gca().invert_yaxis()
plt.xlabel("seconds of the film; a colour per film that is written")
plt.ylabel("flag of av-tag cut")
plt.tight_layout()
plt.show()
