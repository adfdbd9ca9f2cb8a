"""Files as SegEdge writes them: JSON, arrays, whole folders at once, and the hash that binds them."""
