// An engine folder, loaded and ready to segment.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "segedge/image.hpp"
#include "segedge/result.hpp"
#include "segedge/task.hpp"

namespace segedge {

struct Options {
  int threads = 0;  ///< CPU threads; 0: one for each physical core this process may use
  std::vector<std::string> trusted_keys = {};  ///< files of public keys, besides ~/.config/segedge/trusted_keys/*.pub
  bool allow_unsigned = false;  ///< take an engine whoever made it, though a key is trusted: one that was built here
};

/// What engine.json says.
struct EngineInfo {
  std::string folder;
  std::string name;
  std::string precision;  ///< fp32, bf16, fp16, int8 or mixed
  std::string rest;       ///< precision of whatever is not quantized
  std::string backend;    ///< openvino, tensorrt, ...
  std::string target;
  std::string artefact;  ///< file the backend loads
  std::string sha256;    ///< of engine.json
  std::vector<std::pair<std::string, std::string>> versions;  ///< package and version it was built and proven with
  Task task;
  std::string vouched;  ///< of a loaded engine: the trusted key that signed it, or that nobody vouches for it
};

/// Tensor extents: images, channels, rows, columns.
struct Shape {
  std::size_t n = 0, c = 0, h = 0, w = 0;
  std::size_t size() const noexcept { return n * c * h * w; }
};

/// A loaded engine. Not for use by several threads at once; load one for each.
class Engine {
 public:
  /// Reads engine.json, checks its own hash and every artefact's SHA-256, and compiles or deserializes it. Once a key is
  /// trusted, an engine that none has signed is refused.
  static Result<Engine> load(const std::string& folder, const Options& options = {});

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  /// Decoded pixels of any size to class indices of the same size.
  Result<Mask> segment(const ImageView& image);

  /// The same into a mask that is used again: nothing is allocated once a size of image has been seen.
  Status segment(const ImageView& image, Mask& mask);

  /// Several images, as many at a time as the engine was built for.
  Result<std::vector<Mask>> segment(const std::vector<ImageView>& images);

  const EngineInfo& info() const noexcept;
  Shape input_shape() const noexcept;
  Shape output_shape() const noexcept;

  /// Settings that a latency depends on, as the backend reports them, in JSON's notation.
  Result<std::vector<std::pair<std::string, std::string>>> conditions() const;

  // The steps of segment(), for measuring and for callers with their own pixels or decisions.

  /// Fills one image's place in the input.
  Status preprocess(const ImageView& image, std::size_t index = 0);
  /// Runs the network on input().
  Status compute();
  /// Reads one image's place in the output.
  Status postprocess(int height, int width, Mask& mask, std::size_t index = 0);
  float* input() noexcept;
  const float* output() const noexcept;

 private:
  friend struct EngineAccess;
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// Names of the backends that were compiled into this library.
std::vector<std::string> backends();

/// The library's version.
const char* version() noexcept;

}  // namespace segedge
