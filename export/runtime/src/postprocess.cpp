#include "postprocess.hpp"

#include <cstring>

#include "resample.hpp"
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

}  // namespace

Postprocessor::Postprocessor(const Task& task)
    : maps_(task.maps()), difference_(maps_ == 2 && task.activation == Activation::softmax), cut_(task.cut()) {}

void Postprocessor::decide(const float* output, std::size_t pixels, std::uint8_t* labels) {
  if (maps_ == 1) return cut_one(output, cut_, pixels, labels);
  if (difference_) return cut_difference(output, output + pixels, cut_, pixels, labels);
  best_.assign(output, output + pixels);
  std::memset(labels, 0, pixels);
  for (int map = 1; map < maps_; ++map) {
    take_larger(output + static_cast<std::size_t>(map) * pixels, static_cast<std::uint8_t>(map), pixels, best_.data(), labels);
  }
}

void Postprocessor::operator()(const float* output, int rows, int columns, int height, int width, std::uint8_t* labels) {
  const auto pixels = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  if (rows == height && columns == width) return decide(output, pixels, labels);
  decided_.resize(pixels);
  decide(output, pixels, decided_.data());
  nearest_indices(rows, height, rows_);
  nearest_indices(columns, width, columns_);
  const auto row_bytes = static_cast<std::size_t>(width);
  int previous = -1;
  for (const int y : rows_) {
    if (y == previous) {
      std::memcpy(labels, labels - row_bytes, row_bytes);
    } else {
      const std::uint8_t* row = decided_.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(columns);
      for (std::size_t x = 0; x < row_bytes; ++x) labels[x] = row[columns_[x]];
    }
    previous = y;
    labels += row_bytes;
  }
}

}  // namespace segedge
