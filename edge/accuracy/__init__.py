"""How well an engine segments: counts, scores, intervals, and the gate that decides on them."""
