#include "watch.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

namespace segedge::tool {
namespace {

constexpr double foreign_cores = 0.10, stolen_share = 0.01;
constexpr double shortest_s = 0.5;  // /proc/stat counts in 10 ms; below this a share means nothing

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); }

std::string sentence(const char* pattern, double value) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

}  // namespace

Snapshot snapshot() {
  Snapshot now;
  now.at = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::ifstream stream("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  now.known = static_cast<bool>(stream >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal);
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  now.busy = (user + nice + system + irq + softirq) / ticks;
  now.stolen = steal / ticks;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) now.own = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return now;
}

std::vector<std::string> differences(const Snapshot& before, const Snapshot& after) {
  std::vector<std::string> warnings;
  const double wall = after.at - before.at;
  if (!before.known || !after.known || wall < shortest_s) return warnings;
  const double foreign = ((after.busy - before.busy) - (after.own - before.own)) / wall;
  if (foreign > foreign_cores) {
    warnings.push_back(sentence("foreign load: other processes used %.2f cores meanwhile; stop them", foreign));
  }
  const double cpus = std::max(1U, std::thread::hardware_concurrency());
  const double stolen = (after.stolen - before.stolen) / wall / cpus;
  if (stolen > stolen_share) {
    warnings.push_back(sentence("stolen time: the hypervisor took %.1f %% of this virtual machine's CPUs", 100.0 * stolen));
  }
  return warnings;
}

std::string affinity() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::string list;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &mask)) list += (list.empty() ? "" : ", ") + std::to_string(cpu);
    }
  }
  return "[" + list + "]";
}

}  // namespace segedge::tool
