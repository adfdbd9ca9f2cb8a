"""Every engine a user could have had instead, timed interleaved with ours: ``python -m benchmarks.peers``."""
