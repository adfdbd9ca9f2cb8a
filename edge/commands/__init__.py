"""What each command does with its arguments: one call, and how the result is shown. No logic lives here.

Every command's docstring is its help and ends in an example; a test runs each of them.
"""
