"""The double of libcudart, whose device memory lies on the host: what a machine without a GPU can check calls with."""

import shutil

import pytest

from tests.fixtures.tensorrt.install import open_gpu


@pytest.fixture
def library():
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    gpu = open_gpu()
    gpu.forget()
    yield gpu.library
    gpu.forget()
