"""Which graphs to build: candidates, their measurements, and the choice among them."""
