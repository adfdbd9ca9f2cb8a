// Images larger than the network: tiles at the image's own scale, and what the network says of them blended again.
// The specification is the docstring of edge/task/tiles.py.
#pragma once

#include <cstddef>
#include <vector>

#include "fit.hpp"
#include "resample.hpp"
#include "segedge/task.hpp"

namespace segedge {

/// The tiles of an image, row by row. Memory is used again from image to image.
class Grid {
 public:
  void prepare(const Task& task, int height, int width);

  std::size_t size() const noexcept { return tops_.size() * lefts_.size(); }
  Placement placement(std::size_t index) const;
  /// The tile in the middle of the image, or just before it.
  std::size_t middle() const noexcept { return (tops_.size() - 1) / 2 * lefts_.size() + (lefts_.size() - 1) / 2; }

  int height = 0, width = 0;                ///< of the image
  int padded_height = 0, padded_width = 0;  ///< at least a tile
  int down = 0, right = 0;                  ///< where the image lies in it
  int top(std::size_t index) const { return tops_[index / lefts_.size()]; }
  int left(std::size_t index) const { return lefts_[index % lefts_.size()]; }

 private:
  int rows_ = 0, columns_ = 0;
  std::vector<int> tops_, lefts_;
};

/// Receives blended rows.
class Bands {
 public:
  virtual ~Bands() = default;
  /// `rows` rows of the image from `row` on: of each map, `map_size` values apart, rows `pitch` values apart.
  virtual void take(int row, int rows, const float* values, std::size_t map_size, std::size_t pitch) = 0;
};

/// Adds tiles up in the order of their grid; keeps a band of one tile's height.
class Blender {
 public:
  explicit Blender(const Task& task);

  void start(const Grid& grid, int maps);
  /// The next tile, `[maps, rows, columns]`; after the last, all rows have been handed on.
  void add(const Grid& grid, const float* output, int rows, int columns, Bands& bands);

 private:
  void hand_on(const Grid& grid, int rows, Bands& bands);
  const float* brought_to_size(const float* map, int rows, int columns);

  const Resize upsample_;
  const int rows_, columns_;
  int maps_ = 0, top_ = 0;
  std::size_t index_ = 0;
  std::vector<float> weights_, sum_, total_, quotient_;
  RealResizer resizer_;
};

/// `rows * columns` float32: how far each pixel of a tile is trusted.
std::vector<float> tile_weights(int rows, int columns, Blend blend);

}  // namespace segedge
