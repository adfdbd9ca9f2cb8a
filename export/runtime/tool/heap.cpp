#include "heap.hpp"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace segedge::tool {

long long heap_bytes() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const auto info = mallinfo2();
  return static_cast<long long>(info.uordblks) + static_cast<long long>(info.hblkhd);
#elif defined(__GLIBC__)
  const auto info = mallinfo();  // boards may have an older glibc; its counters wrap at 4 GB, differences do not
  return static_cast<long long>(static_cast<unsigned>(info.uordblks)) + static_cast<unsigned>(info.hblkhd);
#else
  return -1;
#endif
}

}  // namespace segedge::tool
