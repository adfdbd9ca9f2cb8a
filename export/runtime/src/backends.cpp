#include <algorithm>
#include <array>

#include "failure.hpp"
#include "network.hpp"

namespace segedge {
namespace {

/// Every backend that the toolkit builds engines for (edge/backends).
constexpr std::array<const char*, 5> toolkit{"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "torch_tensorrt"};

}  // namespace

const std::vector<Backend>& compiled_backends() {
  static const std::vector<Backend> table{
#if SEGEDGE_WITH_OPENVINO
      {"openvino", open_openvino},
#endif
#if SEGEDGE_WITH_TENSORRT && SEGEDGE_TENSORRT_RTX
      {"tensorrt_rtx", open_tensorrt},
#elif SEGEDGE_WITH_TENSORRT
      {"tensorrt", open_tensorrt},
      {"torch_tensorrt", open_tensorrt},  // it leaves plans of TensorRT
#endif
  };
  return table;
}

std::unique_ptr<Network> open_network(const EngineInfo& info, const Options& options) {
  std::string known;
  for (const Backend& backend : compiled_backends()) {
    if (info.backend == backend.name) return backend.open(info, options);
    known += known.empty() ? backend.name : std::string(", ") + backend.name;
  }
  const auto named = [&](const char* name) { return info.backend == name; };
  if (std::none_of(toolkit.begin(), toolkit.end(), named)) {
    fail_input("backend '" + info.backend + "': unknown; build the engine again with this version");
  }
  fail_machine(info.folder + ": needs the backend " + info.backend + ", but this runtime was built with " +
               (known.empty() ? "none" : known) + "; install " + info.backend + " and build the runtime again");
}

std::vector<std::string> backends() {
  std::vector<std::string> names;
  for (const Backend& backend : compiled_backends()) names.emplace_back(backend.name);
  return names;
}

}  // namespace segedge
