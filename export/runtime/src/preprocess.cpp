#include "preprocess.hpp"

#include <algorithm>
#include <cstring>

#include "vectorize.hpp"

namespace segedge {
namespace {

constexpr double minmax_epsilon = 1e-6;

std::size_t area(int height, int width) { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }

/// ITU-R BT.601 luma in integers.
inline __attribute__((always_inline)) std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 32768U) >> 16);
}

SEGEDGE_VECTORIZED void luma_row3(const std::uint8_t* from, int width, std::uint8_t* to) {
  for (int x = 0; x < width; ++x) to[x] = luma(from + 3 * std::ptrdiff_t{x});
}

SEGEDGE_VECTORIZED void luma_row4(const std::uint8_t* from, int width, std::uint8_t* to) {
  for (int x = 0; x < width; ++x) to[x] = luma(from + 4 * std::ptrdiff_t{x});
}

SEGEDGE_VECTORIZED void widen_range(const std::uint8_t* from, int count, int& low, int& high) {
  std::uint8_t smallest = 255, largest = 0;
  for (int i = 0; i < count; ++i) {
    smallest = std::min(smallest, from[i]);
    largest = std::max(largest, from[i]);
  }
  low = std::min<int>(low, smallest);
  high = std::max<int>(high, largest);
}

}  // namespace

Preprocessor::Preprocessor(const Task& task)
    : task_(task),
      fast_(task.in_levels() && task.fit == Fit::stretch && task.channels != Channels::named),
      planes_(task),
      tables_(static_cast<std::size_t>(task.in_channels())) {
  for (std::size_t c = 0; c < tables_.size(); ++c) {
    const double mean = task.mean.size() == 1 ? task.mean[0] : task.mean[c];
    const double deviation = task.std.size() == 1 ? task.std[0] : task.std[c];
    for (int level = 0; level < 256; ++level) {
      tables_[c][static_cast<std::size_t>(level)] = static_cast<float>((level / task.scale - mean) / deviation);
    }
  }
}

void Preprocessor::operator()(const ImageView& image, float* out) {
  if (fast_) return normalize(resized(take(checked(image, task_))), out);
  planes_.take(image);
  if (task_.fit != Fit::tile) return planes_.put(place(task_.fit, image.height, image.width, task_.height, task_.width), out);
  grid_.prepare(task_, image.height, image.width);
  planes_.put(grid_.placement(grid_.middle()), out);
}

Preprocessor::Pixels Preprocessor::take(const ImageView& image) {
  const auto* from = static_cast<const std::uint8_t*>(image.data);
  if (task_.channels != Channels::grey || image.channels == 1) {
    const int kept = image.channels == 1 ? 1 : 3;
    return {from, image.height, image.width, kept, image.channels, image.stride};
  }
  grey_.resize(area(image.height, image.width) + row_padding);
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* to = grey_.data() + area(y, image.width);
    (image.channels == 3 ? luma_row3 : luma_row4)(from + y * image.stride, image.width, to);
  }
  return {grey_.data(), image.height, image.width, 1, 1, image.width};
}

Preprocessor::Pixels Preprocessor::resized(Pixels pixels) {
  if (pixels.height == task_.height && pixels.width == task_.width) return pixels;
  if (task_.resize == Resize::nearest) return resized_nearest(pixels);
  if (pixels.width != task_.width || pixels.step != pixels.channels) pixels = resized_horizontally(pixels);
  return pixels.height == task_.height ? pixels : resized_vertically(pixels);
}

Preprocessor::Pixels Preprocessor::resized_nearest(const Pixels& pixels) {
  nearest_indices(pixels.height, task_.height, rows_);
  nearest_indices(pixels.width, task_.width, columns_);
  const auto channels = static_cast<std::size_t>(pixels.channels);
  resized_.resize(area(task_.height, task_.width) * channels);
  std::uint8_t* to = resized_.data();
  for (const int y : rows_) {
    const std::uint8_t* row = pixels.row(y);
    for (const int x : columns_) {
      const std::uint8_t* from = row + std::ptrdiff_t{x} * pixels.step;
      for (std::size_t c = 0; c < channels; ++c) *to++ = from[c];
    }
  }
  return {resized_.data(), task_.height, task_.width, pixels.channels, pixels.channels, task_.width * pixels.channels};
}

Preprocessor::Pixels Preprocessor::resized_horizontally(const Pixels& pixels) {
  const std::ptrdiff_t stride = std::ptrdiff_t{task_.width} * pixels.channels + row_padding;
  horizontal_.prepare(pixels.width, task_.width, task_.resize);
  narrowed_.resize(static_cast<std::size_t>(pixels.height) * static_cast<std::size_t>(stride));
  // The pass reads a few bytes beyond a row's end. Near the end of the image it works on padded copies.
  const auto bytes = static_cast<std::size_t>(pixels.width - 1) * static_cast<std::size_t>(pixels.step) +
                     static_cast<std::size_t>(pixels.channels);
  last_rows_.resize(2 * (bytes + row_padding));
  const auto safe = [&](int y, std::size_t place) {
    const std::uint8_t* from = pixels.row(y);
    if ((pixels.height - 1 - y) * pixels.stride >= row_padding) return from;
    return static_cast<const std::uint8_t*>(std::memcpy(last_rows_.data() + place * (bytes + row_padding), from, bytes));
  };
  for (int y = 0; y < pixels.height; y += 2) {
    const int other = std::min(y + 1, pixels.height - 1);
    resize_rows({safe(y, 0), safe(other, 1)}, pixels.channels, pixels.step, horizontal_,
                {narrowed_.data() + y * stride, narrowed_.data() + other * stride});
  }
  return {narrowed_.data(), pixels.height, task_.width, pixels.channels, pixels.channels, stride};
}

Preprocessor::Pixels Preprocessor::resized_vertically(const Pixels& pixels) {
  const int row_bytes = pixels.width * pixels.channels;
  vertical_.prepare(pixels.height, task_.height, task_.resize);
  resized_.resize(static_cast<std::size_t>(task_.height) * static_cast<std::size_t>(row_bytes));
  for (int y = 0; y < task_.height; ++y) {
    resize_column(pixels.row(vertical_.firsts()[y]), pixels.stride, row_bytes, vertical_.weights(y), vertical_.counts()[y],
                  resized_.data() + y * std::ptrdiff_t{row_bytes});
  }
  return {resized_.data(), task_.height, pixels.width, pixels.channels, pixels.channels, row_bytes};
}

void Preprocessor::normalize(const Pixels& pixels, float* out) {
  if (task_.normalize == Normalize::minmax) stretch(pixels);
  const int channels = task_.in_channels();
  for (int c = 0; c < channels; ++c) {
    const float* table = tables_[static_cast<std::size_t>(c)].data();
    const int source = pixels.channels == 1 ? 0 : task_.channels == Channels::bgr ? channels - 1 - c : c;
    for (int y = 0; y < pixels.height; ++y) {
      const std::uint8_t* from = pixels.row(y) + source;
      for (int x = 0; x < pixels.width; ++x, from += pixels.step) *out++ = table[*from];
    }
  }
}

void Preprocessor::stretch(const Pixels& pixels) {
  int low = 255, high = 0;
  for (int y = 0; y < pixels.height; ++y) {
    if (pixels.step == pixels.channels) {
      widen_range(pixels.row(y), pixels.width * pixels.channels, low, high);
    } else {
      for (int x = 0; x < pixels.width; ++x) widen_range(pixels.row(y) + x * pixels.step, pixels.channels, low, high);
    }
  }
  const double range = (high - low) + minmax_epsilon;
  for (int level = low; level <= high; ++level) {
    const auto value = static_cast<float>((level - low) / range);
    for (auto& table : tables_) table[static_cast<std::size_t>(level)] = value;
  }
}

}  // namespace segedge
