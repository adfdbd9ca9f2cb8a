// How many threads an engine gets by default.
#pragma once

#include <string>

namespace segedge {

/// Physical cores within the process's affinity mask and CPU quota; at least 1. Two hyper-threads of one core share
/// its vector units, so a second thread on it only adds noise to a latency. `root` is where `sys` lies.
int physical_cores(const std::string& root = "");

}  // namespace segedge
