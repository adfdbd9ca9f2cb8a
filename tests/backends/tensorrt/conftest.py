"""The double of CUDA's runtime for tests of what runs plans."""

from tests.fixtures.tensorrt.cudart import library as library
