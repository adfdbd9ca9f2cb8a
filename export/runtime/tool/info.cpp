#include <cstdio>

#include "arguments.hpp"
#include "commands.hpp"
#include "json.hpp"
#include "manifest.hpp"

namespace segedge::tool {
namespace {

std::string joined(const std::vector<std::string>& items, const char* between, bool quote) {
  std::string out;
  for (const std::string& item : items) {
    out += (out.empty() ? "" : between) + (quote ? json::quoted(item) : item);
  }
  return out;
}

void print_runtime(bool as_json) {
  if (as_json) {
    std::printf("{\"version\": \"%s\", \"backends\": [%s]}\n", version(), joined(backends(), ", ", true).c_str());
  } else {
    const std::string names = joined(backends(), ", ", false);
    std::printf("segedge-run %s\nbackends: %s\n", version(), names.empty() ? "none" : names.c_str());
  }
}

void print_engine(const EngineInfo& info, bool as_json) {
  const Task& task = info.task;
  if (as_json) {
    std::printf(
        "{\"name\": %s, \"backend\": %s, \"precision\": %s, \"rest\": %s, \"target\": %s, \"artefact\": %s, "
        "\"size\": [%d, %d], \"channels\": %d, \"classes\": [%s]}\n",
        json::quoted(info.name).c_str(), json::quoted(info.backend).c_str(), json::quoted(info.precision).c_str(),
        json::quoted(info.rest).c_str(), json::quoted(info.target).c_str(), json::quoted(info.artefact).c_str(), task.height,
        task.width, task.in_channels(), joined(task.classes, ", ", true).c_str());
  } else {
    std::printf("%s: %s for %s, %s (rest %s), hashes right\ninput %d x %d, %d channel(s); classes: %s\n", info.name.c_str(),
                info.backend.c_str(), info.target.c_str(), info.precision.c_str(), info.rest.c_str(), task.width, task.height,
                task.in_channels(), joined(task.classes, ", ", false).c_str());
  }
}

}  // namespace

int run_info(const Words& words) {
  const Arguments arguments(words, {}, {"--json"});
  if (arguments.words().size() > 1) fail_input("info: give one engine folder or none");
  const bool as_json = arguments.has("--json");
  if (arguments.words().empty()) {
    print_runtime(as_json);
  } else {
    print_engine(read_manifest(arguments.words()[0]), as_json);
  }
  return 0;
}

}  // namespace segedge::tool
