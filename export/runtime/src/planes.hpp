// Steps 1 to 5 of the task's specification for whatever Preprocessor's fast path does not do: named channels, values
// that are not 8-bit levels, and every fit. Channels lie one after the other, as the network takes them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fit.hpp"
#include "intensity.hpp"
#include "resample.hpp"
#include "segedge/image.hpp"
#include "segedge/task.hpp"

namespace segedge {

/// A view with its stride, of a type and of channels that the task speaks of. Throws Failure(Fault::input).
ImageView checked(ImageView image, const Task& task);

class Planes {
 public:
  explicit Planes(const Task& task);

  /// Steps 1 and 2, at the image's own size.
  void take(const ImageView& image);
  /// Steps 3 to 5 for one placement: `[channels, height, width]` float32 at the network's size.
  void put(const Placement& placement, float* out);

  int height() const noexcept { return height_; }
  int width() const noexcept { return width_; }

 private:
  template <class T, class Plane>
  void split(const ImageView& image, Plane* to);
  void put_levels(const Placement& placement, float* out);
  void put_values(const Placement& placement, float* out);
  /// Index of a placement's first value in the planes.
  std::size_t first_of(const Placement& placement, std::size_t channel) const;
  float fixed(double value, std::size_t channel) const;

  Task task_;
  IntensityStep intensity_;
  int height_ = 0, width_ = 0;
  std::vector<std::uint8_t> levels_, parts_;
  std::vector<float> values_;
  std::vector<std::array<float, 256>> tables_;
  LevelResizer level_resizer_;
  RealResizer real_resizer_;
};

}  // namespace segedge
