// Compiled as the library is, for a CPU that can fuse multiply and add: fails where the compiler does so. The product
// below rounds to 1, so that taking 1 away leaves 0; fused, what was rounded off remains.
#include <cstdio>

namespace {

[[gnu::noinline]] float multiplied_and_added(float a, float b, float c) { return a * b + c; }
[[gnu::noinline]] double multiplied_and_added(double a, double b, double c) { return a * b + c; }

}  // namespace

int main() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("fma")) {
    std::puts("skipped: this CPU fuses nothing");
    return 77;
  }
#endif
  volatile float small = 1.0F / (1 << 13);
  volatile double tiny = 1.0 / (1 << 28);
  const bool fused = multiplied_and_added(1.0F + small, 1.0F - small, -1.0F) != 0.0F ||
                     multiplied_and_added(1.0 + tiny, 1.0 - tiny, -1.0) != 0.0;
  if (fused) std::puts("the library's options let multiply and add be fused: give it -ffp-contract=off again");
  return fused ? 1 : 0;
}
