// Steps 1 to 3 of the task's specification: channels, resize, normalise.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "resample.hpp"
#include "segedge/image.hpp"
#include "segedge/task.hpp"

namespace segedge {

class Preprocessor {
 public:
  explicit Preprocessor(const Task& task);

  /// Decoded pixels to `[channels, height, width]` float32. Throws Failure(Fault::input) for a view that holds none.
  void operator()(const ImageView& image, float* out);

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
  std::vector<std::array<float, 256>> tables_;
  Axis horizontal_, vertical_;
  std::vector<int> rows_, columns_;
  std::vector<std::uint8_t> grey_, last_rows_, narrowed_, resized_;
};

}  // namespace segedge
