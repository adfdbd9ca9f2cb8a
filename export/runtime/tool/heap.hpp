// How much this process holds on the heap.
#pragma once

namespace segedge::tool {

/// Bytes in live blocks of all malloc arenas; -1 where the C library does not say.
long long heap_bytes();

}  // namespace segedge::tool
