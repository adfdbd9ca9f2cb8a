"""A libcudart of our own, whose device memory lies on the host: what a machine without a GPU can check calls with."""

import ctypes
import shutil
import subprocess

import pytest

STUB = r"""
#include <stdlib.h>
#include <string.h>
static int live = 0, capturing = 0, fail_capture = 0;
int stub_live(void) { return live; }
void stub_fail_capture(int on) { fail_capture = on; }
const char *cudaGetErrorString(int e) { return e == 2 ? "out of memory" : "stub error"; }
int cudaGetLastError(void) { return 0; }
int cudaGetDeviceCount(int *n) { *n = 1; return 0; }
int cudaGetDevice(int *d) { *d = 0; return 0; }
int cudaDeviceGetAttribute(int *v, int which, int device) {
    *v = which == 75 ? 8 : which == 76 ? 7 : -1; return device; }
int cudaMemGetInfo(size_t *f, size_t *t) { *f = 3UL << 32; *t = 8UL << 32; return 0; }
int cudaMalloc(void **p, size_t n) { if (n > 1UL << 40) return 2; *p = malloc(n); live++; return 0; }
int cudaFree(void *p) { free(p); live--; return 0; }
int cudaMallocHost(void **p, size_t n) { *p = malloc(n); live++; return 0; }
int cudaFreeHost(void *p) { free(p); live--; return 0; }
int cudaStreamCreate(void **s) { *s = malloc(1); live++; return 0; }
int cudaStreamDestroy(void *s) { free(s); live--; return 0; }
int cudaStreamSynchronize(void *s) { return s == 0; }
int cudaMemcpyAsync(void *d, const void *s, size_t n, int kind, void *stream) {
    if (capturing || kind < 1 || kind > 2 || !stream) return 1;
    memcpy(d, s, n); return 0; }
int cudaEventCreate(void **e) { *e = malloc(1); live++; return 0; }
int cudaEventDestroy(void *e) { free(e); live--; return 0; }
int cudaEventRecord(void *e, void *s) { return !(e && s); }
int cudaEventElapsedTime(float *ms, void *a, void *b) { *ms = 1.5f; return !(a && b); }
int cudaStreamBeginCapture(void *s, int mode) { capturing = 1; return mode != 1; }
int cudaStreamEndCapture(void *s, void **g) {
    capturing = 0; *g = 0;
    if (fail_capture) return 901;
    *g = malloc(1); live++; return 0; }
int cudaGraphInstantiateWithFlags(void **x, void *g, unsigned long long flags) {
    *x = malloc(1); live++; return flags != 0; }
int cudaGraphDestroy(void *g) { free(g); live--; return 0; }
int cudaGraphExecDestroy(void *x) { free(x); live--; return 0; }
int cudaGraphLaunch(void *x, void *s) { return !(x && s); }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("cudart")
    (folder / "stub.c").write_text(STUB)
    command = [compiler, "-shared", "-fPIC", "-w", "-o", str(folder / "libcudart.so"), str(folder / "stub.c")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "libcudart.so"))
