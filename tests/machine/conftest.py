"""The double of CUDA's runtime for tests of its calls."""

import sys

if sys.version_info >= (3, 10):  # the doubles are a workstation's; all else here is also a board's to run
    from tests.fixtures.tensorrt.cudart import library as library
