// How much this process holds on the heap.
#pragma once

#include <algorithm>
#include <limits>

namespace segedge::tool {

/// Bytes in live blocks of all malloc arenas; -1 where the C library does not say.
long long heap_bytes();

/// Bytes by which the heap grows over that many calls. A level is the least seen over 100 calls, since a freed block that
/// waits in a thread's cache still counts as live.
template <class Frame>
long long heap_growth(Frame&& frame, int frames) {
  const auto level = [&frame] {
    long long least = std::numeric_limits<long long>::max();
    for (int call = 0; call < 100; ++call) {
      frame();
      least = std::min(least, heap_bytes());
    }
    return least;
  };
  const long long before = level();
  for (int call = 0; call < frames; ++call) frame();
  return level() - before;
}

}  // namespace segedge::tool
