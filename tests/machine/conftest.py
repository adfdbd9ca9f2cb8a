"""The double of CUDA's runtime for tests of its calls."""

from tests.fixtures.tensorrt.cudart import library as library
