"""The public functions, one per file; ``import edge`` gives them all, and the command line is made from them."""
