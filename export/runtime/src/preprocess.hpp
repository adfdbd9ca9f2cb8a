// Steps 1 to 5 of the task's specification: from decoded values to the network's input.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "planes.hpp"
#include "resample.hpp"
#include "segedge/image.hpp"
#include "segedge/task.hpp"
#include "tiles.hpp"

namespace segedge {

class Preprocessor {
 public:
  explicit Preprocessor(const Task& task);

  /// Decoded values to `[channels, height, width]` float32; of a tiled image, its middle tile. Throws
  /// Failure(Fault::input) for a view that holds none, or what the task does not speak of.
  void operator()(const ImageView& image, float* out);

  /// For images in tiles: steps 1 and 2 once, then a tile at a time.
  void take_whole(const ImageView& image) { planes_.take(image); }
  void put_tile(const Placement& placement, float* out) { planes_.put(placement, out); }

 private:
  /// Pixels of `channels` bytes, `step` bytes apart, rows `stride` bytes apart.
  struct Pixels {
    const std::uint8_t* data;
    int height, width, channels, step;
    std::ptrdiff_t stride;
    const std::uint8_t* row(int y) const noexcept { return data + y * stride; }
  };

  Pixels take(const ImageView& image);
  Pixels resized(Pixels pixels);
  Pixels resized_nearest(const Pixels& pixels);
  Pixels resized_horizontally(const Pixels& pixels);
  Pixels resized_vertically(const Pixels& pixels);
  void normalize(const Pixels& pixels, float* out);
  void stretch(const Pixels& pixels);

  Task task_;
  bool fast_;  ///< 8-bit colours or grey, stretched: interleaved from end to end
  Planes planes_;
  Grid grid_;
  std::vector<std::array<float, 256>> tables_;
  Axis horizontal_, vertical_;
  std::vector<int> rows_, columns_;
  std::vector<std::uint8_t> grey_, last_rows_, narrowed_, resized_;
};

}  // namespace segedge
