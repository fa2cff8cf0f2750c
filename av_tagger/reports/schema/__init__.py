"""Schema 1: one result as one JSON object. The formal JSON Schema is `resources/schema1.json`.

    {"schema": 1, "file": "a.mp4", "duration": 10.0,
     "tags": [{"label", "probability", "threshold", "heard", "seen",
               "events": [{"start", "end", "peak"}],
               "evidence": [{"time", "object", "probability", "similarity"}]}],
     "scores": {label: {"fused", "heard", "seen", "threshold"}},
     "keyframes": [{"time", "weight"}],
     "ear": {"status", "weights", "model"}, "eye": {"status", "weights", "model"},
     "run": {"version", "device", "fingerprint", "seconds"}}

A file that failed: `{"schema": 1, "file": ..., "error": {"kind", "message"}}`.

- `tags` are sorted by probability, highest first. `scores` holds every class.
- `probability` and `fused` are the class's probability in the clip; `peak` is the highest activity
  (frame probability) inside an event.
- All times are seconds of the file, also when only a part of it was tagged. That part is given by
  `"clip": {"start", "end"}`, where `end` is null for "until the end of the file".
- `null` means "not available": a branch without an opinion, or a threshold that no probability
  reaches. NaN and infinity are never written.
- `"shots": [{"start", "end", "tags": [{"label", "peak"}]}]`, with `--by shot`; the events of a tag
  are then the shots that have it.
- `"notes"`, present only when needed: what could not be read, in words.
- `"detail"`, written on demand: `"activity": {"rate", "start", "values": {label: [...]}}`,
  `"keyframes": [{"objects": [{"object", "probability"}], "picture"}]` in the order of the outer
  list, and `"spectrogram"`. Pictures are data URIs.
- `"partial": {"start", "end", "tags"}` in place of `tags`, on demand: the tags of one window of a
  file that is still being tagged. Readers of results skip such lines.
- `"mark"` of a tag or a score, present only where ear and eye disagree: `heard, not seen` (the ear
  alone reaches its threshold, and no key frame shows such a thing) or `seen, silent` (a key frame
  shows it, and the ear alone stays below). `"ear_threshold"` of a score: that of `heard` alone,
  where another threshold decided.
- `evidence` has `"where": {"area", "box", "grid"}` on request: where in the key frame the object is
  seen. `area` and `box` are [left, top, right, bottom] as shares of the picture; `grid` holds rows
  of the class activation over the area, 1 at its highest, and `box` is around that.
- Readers ignore unknown fields. New fields may be added under the same number; the meaning of an
  existing field never changes.
"""

from av_tagger.reports.schema.lines import find_results, read_outcomes, read_results
from av_tagger.reports.schema.partial import partial_line
from av_tagger.reports.schema.read import SCHEMA, Document, from_json, spectrogram_of
from av_tagger.reports.schema.write import as_json, as_line, data_uri

__all__ = [
    "SCHEMA",
    "Document",
    "as_json",
    "as_line",
    "data_uri",
    "find_results",
    "from_json",
    "partial_line",
    "read_outcomes",
    "read_results",
    "spectrogram_of",
]
