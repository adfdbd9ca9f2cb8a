// One compiled network, whatever runs it. A backend is one file that implements this and has a line in backends.cpp.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "segedge/engine.hpp"

namespace segedge {

/// A setting and its value in JSON's notation.
using Conditions = std::vector<std::pair<std::string, std::string>>;

class Network {
 public:
  Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  virtual ~Network() = default;

  virtual Shape input_shape() const = 0;
  virtual Shape output_shape() const = 0;
  /// `input_shape()` float32 values to fill before run(); stays where it is.
  virtual float* input() = 0;
  /// `output_shape()` float32 values, valid after run(); stays where it is.
  virtual const float* output() const = 0;
  /// Throws Failure.
  virtual void run() = 0;
  virtual Conditions conditions() const = 0;
};

struct Backend {
  const char* name;
  std::unique_ptr<Network> (*open)(const EngineInfo& info, const Options& options);
};

/// The backends that were compiled in.
const std::vector<Backend>& compiled_backends();

/// Opens the artefact with the backend that engine.json names. Throws Failure.
std::unique_ptr<Network> open_network(const EngineInfo& info, const Options& options);

/// An engine from its parts.
struct EngineAccess {
  static Engine make(EngineInfo info, std::unique_ptr<Network> network);
};

std::unique_ptr<Network> open_openvino(const EngineInfo& info, const Options& options);
std::unique_ptr<Network> open_tensorrt(const EngineInfo& info, const Options& options);

}  // namespace segedge
