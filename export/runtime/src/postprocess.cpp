#include "postprocess.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"
#include "vectorize.hpp"

namespace segedge {
namespace {

SEGEDGE_VECTORIZED void cut_one(const float* map, float cut, std::size_t count, std::uint8_t* labels) {
  for (std::size_t i = 0; i < count; ++i) labels[i] = map[i] >= cut;
}

SEGEDGE_VECTORIZED void cut_difference(const float* zero, const float* one, float cut, std::size_t count,
                                       std::uint8_t* labels) {
  for (std::size_t i = 0; i < count; ++i) labels[i] = one[i] - zero[i] >= cut;
}

// The largest so far, the lowest index on ties; NaN counts as largest, as in NumPy's argmax.
SEGEDGE_VECTORIZED void take_larger(const float* map, std::uint8_t index, std::size_t count, float* best,
                                    std::uint8_t* labels) {
  for (std::size_t i = 0; i < count; ++i) {
    const bool larger = !(map[i] <= best[i]) && best[i] == best[i];
    best[i] = larger ? map[i] : best[i];
    labels[i] = larger ? index : labels[i];
  }
}

void take_indices(const float* indices, std::size_t count, int last, std::uint8_t* labels) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!(indices[i] >= 0.0F && indices[i] <= static_cast<float>(last))) {
      fail_input("the network returned a class index beyond the task's classes; name them all, background first");
    }
    labels[i] = static_cast<std::uint8_t>(indices[i]);
  }
}

std::size_t area(int rows, int columns) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }

}  // namespace

Postprocessor::Postprocessor(const Task& task)
    : task_(task),
      maps_(task.maps()),
      difference_(maps_ == 2 && task.activation == Activation::softmax),
      cut_(task.cut()),
      blender_(task) {
  for (int map = 0; task.overlapping && map < maps_; ++map) cuts_.push_back(task.cut_of(map));
}

void Postprocessor::decide(const float* output, std::size_t count, std::size_t map_size, std::uint8_t* labels,
                           std::size_t mask_size) {
  if (task_.output == Output::labels) {
    return take_indices(output, count, std::max(static_cast<int>(task_.classes.size()) - 1, 1), labels);
  }
  if (task_.overlapping) {
    for (std::size_t map = 0; map < cuts_.size(); ++map) {
      cut_one(output + map * map_size, cuts_[map], count, labels + map * mask_size);
    }
    return;
  }
  if (maps_ == 1) return cut_one(output, cut_, count, labels);
  if (difference_) return cut_difference(output, output + map_size, cut_, count, labels);
  best_.assign(output, output + count);
  std::memset(labels, 0, count);
  for (int map = 1; map < maps_; ++map) {
    take_larger(output + static_cast<std::size_t>(map) * map_size, static_cast<std::uint8_t>(map), count, best_.data(), labels);
  }
}

const float* Postprocessor::upsampled(const float* output, int rows, int columns) {
  const std::size_t whole = area(task_.height, task_.width);
  upsampled_.resize(whole * static_cast<std::size_t>(maps_));
  for (std::size_t map = 0; map < static_cast<std::size_t>(maps_); ++map) {
    const float* larger = resizer_(output + map * area(rows, columns), rows, columns, static_cast<std::size_t>(columns),
                                   task_.height, task_.width, task_.upsample);
    std::memcpy(upsampled_.data() + map * whole, larger, whole * sizeof(float));
  }
  return upsampled_.data();
}

void Postprocessor::operator()(const float* output, int rows, int columns, int height, int width, std::uint8_t* labels) {
  if (task_.fit == Fit::tile) fail_input("mask: one tile is no whole image; use segment()");
  const bool smaller = rows != task_.height || columns != task_.width;
  if (smaller && task_.upsample != Resize::nearest && task_.output != Output::labels) {
    output = upsampled(output, rows, columns);
    rows = task_.height;
    columns = task_.width;
  }
  const std::size_t pixels = area(rows, columns), mask = area(height, width);
  if (rows == height && columns == width && task_.fit == Fit::stretch) {
    return decide(output, pixels, pixels, labels, pixels);
  }
  const auto maps = static_cast<std::size_t>(task_.mask_maps());
  decided_.resize(pixels * maps);
  decide(output, pixels, pixels, decided_.data(), pixels);
  for (std::size_t map = 0; map < maps; ++map) {
    return_(task_, decided_.data() + map * pixels, rows, columns, height, width, labels + map * mask);
  }
}

void Postprocessor::start(const Grid& grid, std::uint8_t* labels) {
  grid_ = &grid;
  labels_ = labels;
  blender_.start(grid, maps_);
}

void Postprocessor::add_tile(const float* output, int rows, int columns) {
  blender_.add(*grid_, output, rows, columns, *this);
}

void Postprocessor::take(int row, int rows, const float* values, std::size_t map_size, std::size_t pitch) {
  const auto width = static_cast<std::size_t>(grid_->width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(rows); ++y) {
    decide(values + y * pitch, width, map_size, labels_ + (static_cast<std::size_t>(row) + y) * width,
           area(grid_->height, grid_->width));
  }
}

}  // namespace segedge
