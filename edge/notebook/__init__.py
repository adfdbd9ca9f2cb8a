"""How results look at a Python prompt and in a notebook."""
