// Eyes on the machine while something is timed: other processes and the hypervisor.
#pragma once

#include <string>
#include <vector>

namespace segedge::tool {

/// CPU seconds spent so far, from /proc/stat and this process's own account.
struct Snapshot {
  double at = 0, busy = 0, own = 0, stolen = 0;
  bool known = false;
};

Snapshot snapshot();

/// One sentence for each thing that happened in between and makes a latency doubtful.
std::vector<std::string> differences(const Snapshot& before, const Snapshot& after);

/// CPUs that this process may run on, as a JSON list.
std::string affinity();

}  // namespace segedge::tool
