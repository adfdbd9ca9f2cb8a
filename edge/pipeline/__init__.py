"""The pipeline and its stages: what a deployment does, in order, and what single stages do."""
