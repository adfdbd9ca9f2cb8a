"""Side-by-side runs against peers, and their recorded tables. Timing lives here, never in a test."""
