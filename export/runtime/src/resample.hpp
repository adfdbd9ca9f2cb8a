// Resizing 8-bit pixels in fixed point, bit for bit as Pillow does ("Resample.c", 8 bits per channel).
//
// Separable: each pass weighs the source pixels under a kernel that widens with the downscaling factor. Weights are
// normalised in double precision and rounded to 22 fractional bits; sums are 32-bit integers, rounded back to 8 bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "segedge/task.hpp"

namespace segedge {

/// The weights of one axis for one pair of sizes. Memory is used again from size to size.
class Axis {
 public:
  /// Makes the weights, unless they are already for these sizes. `kernel` must not be nearest.
  void prepare(int in, int out, Resize kernel);

  int out() const noexcept { return out_; }
  /// Places in a row of weights: at least the longest count, a multiple of four.
  int taps() const noexcept { return taps_; }
  /// Index of the first source pixel under each kernel, and how many there are.
  const int* firsts() const noexcept { return first_.data(); }
  const int* counts() const noexcept { return count_.data(); }
  /// `count` weights, then zeros.
  const std::int32_t* weights(int index) const noexcept {
    return weights_.data() + static_cast<std::size_t>(index) * static_cast<std::size_t>(taps_);
  }

 private:
  int in_ = 0, out_ = 0, taps_ = 0;
  Resize kernel_ = Resize::nearest;
  std::vector<int> first_, count_;
  std::vector<std::int32_t> weights_;
  std::vector<double> scratch_;
};

/// The same weights, not rounded, for float32 values.
class RealAxis {
 public:
  void prepare(int in, int out, Resize kernel);

  const int* firsts() const noexcept { return first_.data(); }
  const int* counts() const noexcept { return count_.data(); }
  const double* weights(int index) const noexcept {
    return weights_.data() + static_cast<std::size_t>(index) * static_cast<std::size_t>(taps_);
  }

 private:
  int in_ = 0, out_ = 0, taps_ = 0;
  Resize kernel_ = Resize::nearest;
  std::vector<int> first_, count_;
  std::vector<double> weights_;
};

/// One channel of float32, resized with any kernel: products are added up in double precision from the first source
/// pixel to the last, and each pass is rounded to float32. Memory is used again.
class RealResizer {
 public:
  /// From `rows x columns`, rows `pitch` values apart, to `out_rows x out_columns` without gaps. The result is the
  /// resizer's own until the next call.
  const float* operator()(const float* data, int rows, int columns, std::size_t pitch, int out_rows, int out_columns,
                          Resize kernel);

 private:
  RealAxis horizontal_, vertical_;
  std::vector<int> rows_, columns_;
  std::vector<float> narrowed_, resized_;
  std::vector<double> sums_;
};

/// One channel of 8-bit levels, likewise; `data` must be readable for row_padding bytes beyond its last pixel.
class LevelResizer {
 public:
  const std::uint8_t* operator()(const std::uint8_t* data, int rows, int columns, std::size_t pitch, int out_rows,
                                 int out_columns, Resize kernel);

 private:
  Axis horizontal_, vertical_;
  std::vector<int> rows_, columns_;
  std::vector<std::uint8_t> narrowed_, resized_;
};

/// Bytes that resize_rows() may read beyond the last pixel of a row, and write beyond the last of its output.
constexpr int row_padding = 4;

/// Horizontal pass of two rows (or of one, given twice): `axis.out()` pixels of `channels` (1 or 3) bytes each, from
/// pixels `step` bytes apart.
void resize_rows(const std::array<const std::uint8_t*, 2>& rows, int channels, int step, const Axis& axis,
                 const std::array<std::uint8_t*, 2>& out);

/// Vertical pass: one row of `bytes` bytes from `count` rows, `stride` bytes apart.
void resize_column(const std::uint8_t* rows, std::ptrdiff_t stride, int bytes, const std::int32_t* weights, int count,
                   std::uint8_t* out);

/// Exact nearest neighbour: source index of each of `out` places, `floor((i + 0.5) * in / out)`.
void nearest_indices(int in, int out, std::vector<int>& indices);

}  // namespace segedge
