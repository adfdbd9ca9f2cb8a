"""What the network's input and output mean, and the arithmetic of it."""
