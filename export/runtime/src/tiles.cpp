#include "tiles.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "vectorize.hpp"

namespace segedge {
namespace {

constexpr float least_weight = 1e-3F;

std::vector<float> bell(int side) {
  std::vector<float> values(static_cast<std::size_t>(side));
  const double deviation = side * 0.125;
  for (int i = 0; i < side; ++i) {
    const double x = i - (side - 1) / 2.0;
    values[static_cast<std::size_t>(i)] = static_cast<float>(std::exp(x * x / (-2.0 * deviation * deviation)));
  }
  return values;
}

void starts(int length, int side, double overlap, std::vector<int>& into) {
  const int step = std::max(static_cast<int>(side * (1.0 - overlap)), 1);
  const int count = length == side ? 1 : (length - side + step - 1) / step + 1;
  into.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) into[static_cast<std::size_t>(i)] = std::min(i * step, length - side);
}

SEGEDGE_VECTORIZED void add_weighted(const float* values, const float* weights, int count, float* sum) {
  for (int i = 0; i < count; ++i) sum[i] += values[i] * weights[i];
}

SEGEDGE_VECTORIZED void add(const float* values, int count, float* sum) {
  for (int i = 0; i < count; ++i) sum[i] += values[i];
}

SEGEDGE_VECTORIZED void divide(const float* sum, const float* total, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] = sum[i] / total[i];
}

std::size_t product(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

}  // namespace

std::vector<float> tile_weights(int rows, int columns, Blend blend) {
  std::vector<float> weights(product(rows, columns), 1.0F);
  if (blend == Blend::mean) return weights;
  const std::vector<float> down = bell(rows), across = bell(columns);
  std::size_t at = 0;
  for (const float y : down) {
    for (const float x : across) weights[at++] = y * x;
  }
  const float least = std::max(*std::min_element(weights.begin(), weights.end()), least_weight);
  for (float& weight : weights) weight = std::max(weight, least);
  return weights;
}

void Grid::prepare(const Task& task, int image_height, int image_width) {
  height = image_height;
  width = image_width;
  rows_ = task.height;
  columns_ = task.width;
  padded_height = std::max(height, rows_);
  padded_width = std::max(width, columns_);
  down = (padded_height - height) / 2;
  right = (padded_width - width) / 2;
  starts(padded_height, rows_, task.overlap, tops_);
  starts(padded_width, columns_, task.overlap, lefts_);
}

Placement Grid::placement(std::size_t index) const {
  const int tall = std::min(height, rows_), wide = std::min(width, columns_);
  return {top(index), left(index), tall, wide, tall, wide, down, right};
}

Blender::Blender(const Task& task) : upsample_(task.upsample), rows_(task.height), columns_(task.width) {
  if (task.fit == Fit::tile) weights_ = tile_weights(rows_, columns_, task.blend);
}

void Blender::start(const Grid& grid, int maps) {
  maps_ = maps;
  top_ = 0;
  index_ = 0;
  const std::size_t band = product(rows_, grid.padded_width);
  sum_.assign(band * static_cast<std::size_t>(maps), 0.0F);
  total_.assign(band, 0.0F);
}

const float* Blender::brought_to_size(const float* map, int rows, int columns) {
  if (rows == rows_ && columns == columns_) return map;
  return resizer_(map, rows, columns, static_cast<std::size_t>(columns), rows_, columns_, upsample_);
}

void Blender::add(const Grid& grid, const float* output, int rows, int columns, Bands& bands) {
  const auto pitch = static_cast<std::size_t>(grid.padded_width);
  const std::size_t band = product(rows_, grid.padded_width);
  const int moved = grid.top(index_) - top_;
  if (moved > 0) {  // rows that no later tile reaches
    hand_on(grid, moved, bands);
    const std::size_t gone = static_cast<std::size_t>(moved) * pitch;
    for (int map = 0; map <= maps_; ++map) {
      float* values = map == maps_ ? total_.data() : sum_.data() + static_cast<std::size_t>(map) * band;
      std::memmove(values, values + gone, (band - gone) * sizeof(float));
      std::fill(values + (band - gone), values + band, 0.0F);
    }
    top_ += moved;
  }
  const auto left = static_cast<std::size_t>(grid.left(index_));
  for (int map = 0; map < maps_; ++map) {
    const float* values = brought_to_size(output + static_cast<std::size_t>(map) * product(rows, columns), rows, columns);
    for (int y = 0; y < rows_; ++y) {
      const std::size_t from = product(y, columns_), to = static_cast<std::size_t>(y) * pitch + left;
      add_weighted(values + from, weights_.data() + from, columns_, sum_.data() + static_cast<std::size_t>(map) * band + to);
    }
  }
  for (int y = 0; y < rows_; ++y) {
    segedge::add(weights_.data() + product(y, columns_), columns_, total_.data() + static_cast<std::size_t>(y) * pitch + left);
  }
  if (++index_ == grid.size()) hand_on(grid, rows_, bands);
}

void Blender::hand_on(const Grid& grid, int rows, Bands& bands) {
  const int first = std::max(top_, grid.down), last = std::min(top_ + rows, grid.down + grid.height);
  if (first >= last) return;
  const std::size_t band = product(rows_, grid.padded_width), skipped = product(first - top_, grid.padded_width);
  quotient_.resize(band * static_cast<std::size_t>(maps_));
  const auto count = static_cast<int>(product(last - first, grid.padded_width));
  for (int map = 0; map < maps_; ++map) {
    const std::size_t at = static_cast<std::size_t>(map) * band + skipped;
    divide(sum_.data() + at, total_.data() + skipped, count, quotient_.data() + at);
  }
  bands.take(first - grid.down, last - first, quotient_.data() + skipped + static_cast<std::size_t>(grid.right), band,
       static_cast<std::size_t>(grid.padded_width));
}

}  // namespace segedge
