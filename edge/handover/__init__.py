"""What other tools take of a run: a model repository for a server, a model card for a hub."""
