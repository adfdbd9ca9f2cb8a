#include "cores.hpp"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace segedge {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// CPUs that a container's quota (cgroup v2) comes to; `otherwise` where there is none.
int quota(const std::string& root, int otherwise) {
  std::istringstream line(first_line(root + "/sys/fs/cgroup/cpu.max"));
  long long limit = 0, period = 0;
  if (!(line >> limit >> period) || limit <= 0 || period <= 0) return otherwise;
  return static_cast<int>((limit + period - 1) / period);
}

}  // namespace

int physical_cores(const std::string& root) {
  const int logical = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::set<std::string> cores;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      const std::string name = std::to_string(cpu);
      const std::string siblings = first_line(root + "/sys/devices/system/cpu/cpu" + name + "/topology/thread_siblings_list");
      cores.insert(siblings.empty() ? "only " + name : siblings);
    }
  }
  const int found = cores.empty() ? logical : static_cast<int>(cores.size());
  return std::max(1, std::min(found, quota(root, logical)));
}

}  // namespace segedge
