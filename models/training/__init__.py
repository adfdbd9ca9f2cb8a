"""Training of the networks in this folder: recipes, data, augmentation, losses, the loop, the weights file."""
