// Steps 6 and 7 of the task's specification: decide, return to the image's own size.
#pragma once

#include <cstdint>
#include <vector>

#include "fit.hpp"
#include "resample.hpp"
#include "segedge/image.hpp"
#include "segedge/task.hpp"
#include "tiles.hpp"

namespace segedge {

class Postprocessor : private Bands {
 public:
  explicit Postprocessor(const Task& task);

  /// `[maps, rows, columns]` float32 to a mask of `height x width`. Not for tiles.
  void operator()(const float* output, int rows, int columns, int height, int width, std::uint8_t* labels);

  /// Tiles of one image: start, then every tile's output in the order of the grid; `labels` is full after the last.
  void start(const Grid& grid, std::uint8_t* labels);
  void add_tile(const float* output, int rows, int columns);

 private:
  void take(int row, int rows, const float* values, std::size_t map_size, std::size_t pitch) override;
  /// Decides `count` pixels; maps lie `map_size` values apart, masks of overlapping labels `mask_size`.
  void decide(const float* output, std::size_t count, std::size_t map_size, std::uint8_t* labels, std::size_t mask_size);
  const float* upsampled(const float* output, int rows, int columns);

  Task task_;
  int maps_;
  bool difference_;  ///< two softmax maps: decided on map1 - map0
  float cut_;
  std::vector<float> cuts_;  ///< of overlapping labels
  std::vector<std::uint8_t> decided_;
  std::vector<float> best_, upsampled_;
  RealResizer resizer_;
  Return return_;
  Blender blender_;
  const Grid* grid_ = nullptr;
  std::uint8_t* labels_ = nullptr;
};

}  // namespace segedge
