"""Guards of everything that reads what others wrote: limits, checks, and a watch over native code."""
