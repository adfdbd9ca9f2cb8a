#include "resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include "vectorize.hpp"

namespace segedge {
namespace {

constexpr int precision_bits = 32 - 8 - 2;
constexpr std::int32_t half = 1 << (precision_bits - 1);

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double keys_cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(Resize resize) {
  switch (resize) {
    case Resize::bicubic:
      return {keys_cubic, 2.0};
    case Resize::area:
      return {box, 0.5};
    default:
      return {triangle, 1.0};
  }
}

/// Where a kernel lies over each output place, and its weights there.
class Window {
 public:
  Window(int in, int out, Resize kernel)
      : in_(in),
        kernel_(kernel_of(kernel)),
        scale_(static_cast<double>(in) / out),
        support_(kernel_.support * std::max(scale_, 1.0)),
        inverse_(1.0 / std::max(scale_, 1.0)) {}

  int largest() const { return static_cast<int>(std::ceil(support_)) * 2 + 1; }

  /// First source place and count; the weights, which add up to 1, to `weights`.
  std::pair<int, int> weigh(int index, double* weights) const {
    const double center = (index + 0.5) * scale_;
    const int first = std::max(static_cast<int>(center - support_ + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support_ + 0.5), in_) - first;
    double total = 0.0;
    for (int k = 0; k < count; ++k) {
      weights[k] = kernel_.weight((k + first - center + 0.5) * inverse_);
      total += weights[k];
    }
    for (int k = 0; k < count && total != 0.0; ++k) weights[k] /= total;
    return {first, count};
  }

 private:
  int in_;
  Kernel kernel_;
  double scale_, support_, inverse_;
};

std::int32_t fixed_point(double weight) {
  return static_cast<std::int32_t>((weight < 0.0 ? -0.5 : 0.5) + weight * (1 << precision_bits));
}

// Four 32-bit lanes, in GCC's and Clang's notation for vectors: one source for SSE, AVX and NEON.
using Lanes = std::int32_t __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(16)));
using Bytes = std::uint8_t __attribute__((vector_size(16)));
using TwoLanes = std::int32_t __attribute__((vector_size(32)));
using TwoWords = std::uint32_t __attribute__((vector_size(32)));
using TwoBytes = std::uint8_t __attribute__((vector_size(32)));

#if defined(__clang__)
#define SHUFFLE(bytes, ...) __builtin_shufflevector(bytes, bytes, __VA_ARGS__)
#else
#define SHUFFLE(bytes, ...) __builtin_shuffle(bytes, decltype(bytes){__VA_ARGS__})
#endif

// Four bytes, widened. Spelt as a shuffle with zeros (little-endian), which is one instruction; GCC makes a dozen of
// __builtin_convertvector.
inline __attribute__((always_inline)) Lanes load_four(const std::uint8_t* from) {
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);
  auto bytes = reinterpret_cast<Bytes>(Words{word, 0, 0, 0});
  return reinterpret_cast<Lanes>(SHUFFLE(bytes, 0, 4, 4, 4, 1, 4, 4, 4, 2, 4, 4, 4, 3, 4, 4, 4));
}

// Four bytes of each of two rows.
inline __attribute__((always_inline)) TwoLanes load_two(const std::uint8_t* from, const std::uint8_t* other) {
  std::uint32_t word, other_word;
  std::memcpy(&word, from, sizeof word);
  std::memcpy(&other_word, other, sizeof other_word);
  auto bytes = reinterpret_cast<TwoBytes>(TwoWords{word, 0, 0, 0, other_word, 0, 0, 0});
  return reinterpret_cast<TwoLanes>(SHUFFLE(bytes, 0, 4, 4, 4, 1, 4, 4, 4, 2, 4, 4, 4, 3, 4, 4, 4, 16, 20, 20, 20, 17, 20, 20,
                                            20, 18, 20, 20, 20, 19, 20, 20, 20));
}

// Rounded back to bytes, four to each place.
inline __attribute__((always_inline)) void store_two(TwoLanes sum, std::uint8_t* to, std::uint8_t* other) {
  sum >>= precision_bits;
  sum &= sum > 0;
  sum = sum > 255 ? TwoLanes{} + 255 : sum;
  auto bytes = reinterpret_cast<TwoBytes>(sum);
  const auto words = reinterpret_cast<TwoWords>(SHUFFLE(bytes, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 16, 20, 24,
                                                        28, 16, 20, 24, 28, 16, 20, 24, 28, 16, 20, 24, 28));
  const std::uint32_t word = words[0], other_word = words[4];
  std::memcpy(to, &word, sizeof word);
  std::memcpy(other, &other_word, sizeof other_word);
}

inline __attribute__((always_inline)) std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

// Interleaved colours, two rows at a time: four lanes a row, one a channel (the fourth is not kept, but written).
SEGEDGE_VECTORIZED void resize_colour_rows(const std::uint8_t* row, const std::uint8_t* other, int step, const int* first,
                                           const int* count, const std::int32_t* weights, int taps, int out,
                                           std::uint8_t* to, std::uint8_t* to_other) {
  for (int x = 0; x < out; ++x, weights += taps, to += 3, to_other += 3) {
    const std::ptrdiff_t start = static_cast<std::ptrdiff_t>(first[x]) * step;
    const std::uint8_t *from = row + start, *from_other = other + start;
    TwoLanes sum = TwoLanes{} + half;
    for (int k = 0; k < count[x]; ++k, from += step, from_other += step) sum += load_two(from, from_other) * weights[k];
    store_two(sum, to, to_other);
  }
}

// One channel: four source pixels a step; weights beyond the kernel are zero.
SEGEDGE_VECTORIZED void resize_grey_row(const std::uint8_t* row, const int* first, const int* count,
                                        const std::int32_t* weights, int taps, int out, std::uint8_t* to) {
  for (int x = 0; x < out; ++x, weights += taps) {
    const std::uint8_t* from = row + first[x];
    Lanes sum = {half, 0, 0, 0};
    for (int k = 0; k < count[x]; k += 4) {
      Lanes four;
      std::memcpy(&four, weights + k, sizeof four);
      sum += load_four(from + k) * four;
    }
    to[x] = rounded(sum[0] + sum[1] + sum[2] + sum[3]);
  }
}

}  // namespace

void Axis::prepare(int in, int out, Resize kernel) {
  if (in == in_ && out == out_ && kernel == kernel_) return;
  in_ = out_ = 0;  // nothing valid if memory runs out on the way
  const Window window(in, out, kernel);
  taps_ = (window.largest() + 3) / 4 * 4;
  const auto size = static_cast<std::size_t>(out);
  first_.resize(size);
  count_.resize(size);
  weights_.assign(size * static_cast<std::size_t>(taps_), 0);
  scratch_.resize(static_cast<std::size_t>(window.largest()));
  for (int i = 0; i < out; ++i) {
    const auto [first, count] = window.weigh(i, scratch_.data());
    std::int32_t* row = weights_.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(taps_);
    for (int k = 0; k < count; ++k) row[k] = fixed_point(scratch_[static_cast<std::size_t>(k)]);
    first_[static_cast<std::size_t>(i)] = first;
    count_[static_cast<std::size_t>(i)] = count;
  }
  in_ = in;
  out_ = out;
  kernel_ = kernel;
}

void resize_rows(const std::array<const std::uint8_t*, 2>& rows, int channels, int step, const Axis& axis,
                 const std::array<std::uint8_t*, 2>& out) {
  const int *first = axis.firsts(), *count = axis.counts();
  if (channels == 1) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      resize_grey_row(rows[i], first, count, axis.weights(0), axis.taps(), axis.out(), out[i]);
    }
  } else {
    resize_colour_rows(rows[0], rows[1], step, first, count, axis.weights(0), axis.taps(), axis.out(), out[0], out[1]);
  }
}

SEGEDGE_VECTORIZED void resize_column(const std::uint8_t* rows, std::ptrdiff_t stride, int bytes,
                                      const std::int32_t* weights, int count, std::uint8_t* out) {
  constexpr int block = 32;
  int x = 0;
  for (; x + block <= bytes; x += block) {
    std::int32_t sums[block];
    for (std::int32_t& sum : sums) sum = half;
    for (int k = 0; k < count; ++k) {
      const std::uint8_t* from = rows + k * stride + x;
      const std::int32_t weight = weights[k];
      for (int i = 0; i < block; ++i) sums[i] += from[i] * weight;
    }
    for (int i = 0; i < block; ++i) out[x + i] = rounded(sums[i]);
  }
  for (; x < bytes; ++x) {
    std::int32_t sum = half;
    for (int k = 0; k < count; ++k) sum += rows[k * stride + x] * weights[k];
    out[x] = rounded(sum);
  }
}

void RealAxis::prepare(int in, int out, Resize kernel) {
  if (in == in_ && out == out_ && kernel == kernel_) return;
  in_ = out_ = 0;
  const Window window(in, out, kernel);
  taps_ = window.largest();
  first_.resize(static_cast<std::size_t>(out));
  count_.resize(static_cast<std::size_t>(out));
  weights_.resize(static_cast<std::size_t>(out) * static_cast<std::size_t>(taps_));
  for (int i = 0; i < out; ++i) {
    const auto at = static_cast<std::size_t>(i);
    std::tie(first_[at], count_[at]) = window.weigh(i, weights_.data() + at * static_cast<std::size_t>(taps_));
  }
  in_ = in;
  out_ = out;
  kernel_ = kernel;
}

namespace {

template <class T>
void pick_nearest(const T* data, std::size_t pitch, const std::vector<int>& rows, const std::vector<int>& columns, T* out) {
  for (const int y : rows) {
    const T* row = data + static_cast<std::size_t>(y) * pitch;
    for (const int x : columns) *out++ = row[x];
  }
}

template <class T>
void copy_rows(const T* data, int rows, int columns, std::size_t pitch, T* out) {
  const auto width = static_cast<std::size_t>(columns);
  for (int y = 0; y < rows; ++y, data += pitch, out += width) std::memcpy(out, data, width * sizeof(T));
}

SEGEDGE_VECTORIZED void add_row(const float* row, double weight, int count, double* sums) {
  for (int x = 0; x < count; ++x) sums[x] += weight * static_cast<double>(row[x]);
}

std::size_t area(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

}  // namespace

const float* RealResizer::operator()(const float* data, int rows, int columns, std::size_t pitch, int out_rows,
                                     int out_columns, Resize kernel) {
  resized_.resize(area(out_rows, out_columns));
  if (rows == out_rows && columns == out_columns) {
    copy_rows(data, rows, columns, pitch, resized_.data());
    return resized_.data();
  }
  if (kernel == Resize::nearest) {
    nearest_indices(rows, out_rows, rows_);
    nearest_indices(columns, out_columns, columns_);
    pick_nearest(data, pitch, rows_, columns_, resized_.data());
    return resized_.data();
  }
  if (columns != out_columns) {
    horizontal_.prepare(columns, out_columns, kernel);
    narrowed_.resize(area(rows, out_columns));
    float* to = narrowed_.data();
    for (int y = 0; y < rows; ++y) {
      const float* row = data + static_cast<std::size_t>(y) * pitch;
      for (int x = 0; x < out_columns; ++x) {
        const double* weights = horizontal_.weights(x);
        const float* from = row + horizontal_.firsts()[x];
        double sum = 0.0;
        for (int k = 0; k < horizontal_.counts()[x]; ++k) sum += weights[k] * static_cast<double>(from[k]);
        *to++ = static_cast<float>(sum);
      }
    }
    data = narrowed_.data();
    pitch = static_cast<std::size_t>(out_columns);
  }
  if (rows == out_rows) {
    copy_rows(data, rows, out_columns, pitch, resized_.data());
    return resized_.data();
  }
  vertical_.prepare(rows, out_rows, kernel);
  sums_.resize(static_cast<std::size_t>(out_columns));
  float* to = resized_.data();
  for (int y = 0; y < out_rows; ++y) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    for (int k = 0; k < vertical_.counts()[y]; ++k) {
      add_row(data + static_cast<std::size_t>(vertical_.firsts()[y] + k) * pitch, vertical_.weights(y)[k], out_columns,
              sums_.data());
    }
    for (const double sum : sums_) *to++ = static_cast<float>(sum);
  }
  return resized_.data();
}

const std::uint8_t* LevelResizer::operator()(const std::uint8_t* data, int rows, int columns, std::size_t pitch,
                                             int out_rows, int out_columns, Resize kernel) {
  resized_.resize(area(out_rows, out_columns));
  if (rows == out_rows && columns == out_columns) {
    copy_rows(data, rows, columns, pitch, resized_.data());
    return resized_.data();
  }
  if (kernel == Resize::nearest) {
    nearest_indices(rows, out_rows, rows_);
    nearest_indices(columns, out_columns, columns_);
    pick_nearest(data, pitch, rows_, columns_, resized_.data());
    return resized_.data();
  }
  if (columns != out_columns) {
    horizontal_.prepare(columns, out_columns, kernel);
    narrowed_.resize(area(rows, out_columns) + row_padding);
    for (int y = 0; y < rows; y += 2) {
      const int other = std::min(y + 1, rows - 1);
      resize_rows({data + static_cast<std::size_t>(y) * pitch, data + static_cast<std::size_t>(other) * pitch}, 1, 1,
                  horizontal_, {narrowed_.data() + area(y, out_columns), narrowed_.data() + area(other, out_columns)});
    }
    data = narrowed_.data();
    pitch = static_cast<std::size_t>(out_columns);
  }
  if (rows == out_rows) {
    copy_rows(data, rows, out_columns, pitch, resized_.data());
    return resized_.data();
  }
  vertical_.prepare(rows, out_rows, kernel);
  for (int y = 0; y < out_rows; ++y) {
    resize_column(data + static_cast<std::size_t>(vertical_.firsts()[y]) * pitch, static_cast<std::ptrdiff_t>(pitch),
                  out_columns, vertical_.weights(y), vertical_.counts()[y], resized_.data() + area(y, out_columns));
  }
  return resized_.data();
}

void nearest_indices(int in, int out, std::vector<int>& indices) {
  indices.resize(static_cast<std::size_t>(out));
  for (int i = 0; i < out; ++i) {
    indices[static_cast<std::size_t>(i)] = static_cast<int>((2 * std::int64_t{i} + 1) * in / (2 * std::int64_t{out}));
  }
}

}  // namespace segedge
