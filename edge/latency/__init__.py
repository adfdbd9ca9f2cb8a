"""How long an engine takes: timing, statistics, and what a run costs in energy and memory."""
