#include "planes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <string>

#include "failure.hpp"

namespace segedge {
namespace {

constexpr double minmax_epsilon = 1e-6;
constexpr int largest_side = 1 << 24;

std::size_t area(int height, int width) { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }

std::size_t bytes_of(Dtype dtype) { return dtype == Dtype::uint8 ? 1 : dtype == Dtype::float32 ? 4 : 2; }

const char* name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::uint16:
      return "uint16";
    case Dtype::int16:
      return "int16";
    case Dtype::float32:
      return "float32";
    default:
      return "uint8";
  }
}

template <class T>
T value_at(const ImageView& image, int y, int x, int c) {
  T value;
  const auto* row = static_cast<const std::uint8_t*>(image.data) + y * image.stride;
  const auto index = static_cast<std::size_t>(x) * static_cast<std::size_t>(image.channels) + static_cast<std::size_t>(c);
  std::memcpy(&value, row + index * sizeof(T), sizeof(T));  // rows of a caller's need not be aligned
  return value;
}

/// ITU-R BT.601 luma in integers; there is none of float32 colours, which are refused before.
template <class T>
T luma(T red, T green, T blue) {
  const std::int64_t sum = 19595 * static_cast<std::int64_t>(red) + 38470 * static_cast<std::int64_t>(green) +
                           7471 * static_cast<std::int64_t>(blue) + 32768;
  return static_cast<T>(sum >> 16);
}

void require_finite(const ImageView& image) {
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        if (!std::isfinite(value_at<float>(image, y, x, c))) {
          fail_input("image: holds values that are NaN or infinite; give each a value");
        }
      }
    }
  }
}

void require_channels(const ImageView& image, const Task& task) {
  const auto refuse = [&image](const std::string& why) {
    fail_input("image: has " + std::to_string(image.channels) + " channels, but its task " + why);
  };
  if (task.channels != Channels::named) {
    const bool ignored = image.channels == 4 && image.dtype == Dtype::uint8;
    if (image.channels != 1 && image.channels != 3 && !ignored) {
      refuse("has colours; give 1 (grey), 3 (RGB) or 4 bytes (RGB and one more)");
    }
    if (task.channels == Channels::grey && image.channels != 1 && image.dtype == Dtype::float32) {
      fail_input("image: holds float32 colours, which have no luma; give one channel");
    }
  } else if (task.picks.empty() ? image.channels != task.named
                                : image.channels <= *std::max_element(task.picks.begin(), task.picks.end())) {
    refuse("names others (" + std::to_string(task.named) + "); give those of the task");
  }
}

/// Low and high of the values that the task expects, as edge/task/refusal.py has it; none where the image says them.
std::vector<Pair> reads(const Task& task) {
  const Intensity intensity = task.intensity.value_or(Intensity());
  const auto around = [](double mean, double deviation) { return Pair{mean - 2.0 * deviation, mean + 2.0 * deviation}; };
  if (task.normalize != Normalize::fixed && intensity.scope != Scope::set) return {};
  if (intensity.limits) return {*intensity.limits};
  if (intensity.percentile) return intensity.levels;
  if (task.normalize == Normalize::minmax) return intensity.spread;
  std::vector<Pair> pairs;
  if (task.normalize == Normalize::zscore) {
    for (const auto& [mean, deviation] : intensity.spread) pairs.push_back(around(mean, deviation));
  } else if (task.scale > 2.0 * 255.0) {  // below that, figures of a framework that has its own idea of 8 bits
    for (std::size_t c = 0; c < std::max(task.mean.size(), task.std.size()); ++c) {
      const double mean = task.mean[task.mean.size() > 1 ? c : 0], deviation = task.std[task.std.size() > 1 ? c : 0];
      const auto [low, high] = around(task.scale * mean, task.scale * std::abs(deviation));
      pairs.emplace_back(std::max(low, 0.0), std::min(high, task.scale));
    }
  }
  return pairs;
}

/// Refuse bytes where 0 to 255 fill less than half of what the task reads; figures of the image itself make up for it.
void require_depth(const ImageView& image, const Task& task) {
  if (image.dtype != Dtype::uint8) return;
  for (const auto& [low, high] : reads(task)) {
    if (2.0 * (std::min(high, 255.0) - std::max(low, 0.0)) >= high - low) continue;
    std::ostringstream said;
    said << "image: holds uint8 values, but its task reads values from " << low << " to " << high
         << ", which 8 bits do not hold; give the image with its own values, or set [task.intensity] as in training";
    fail_input(said.str());
  }
}

}  // namespace

ImageView checked(ImageView image, const Task& task) {
  if (image.data == nullptr || image.height < 1 || image.width < 1 || image.channels < 1) {
    fail_input("image: holds no pixels; give at least one row and one column");
  }
  if (image.height > largest_side || image.width > largest_side) {
    fail_input("image: a side is over " + std::to_string(largest_side) + " pixels; tile it");
  }
  require_channels(image, task);
  if (task.eight_bit() && image.dtype != Dtype::uint8) {
    fail_input(std::string("image: holds ") + name_of(image.dtype) +
               " values, but its task knows 8-bit values only; add [task.intensity] with the range of its training");
  }
  require_depth(image, task);
  const auto tight = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(image.width) *
                                                 static_cast<std::size_t>(image.channels) * bytes_of(image.dtype));
  if (image.stride == 0) image.stride = tight;
  if (image.stride < tight) fail_input("image: its rows overlap; give the bytes from row to row as stride");
  if (image.dtype == Dtype::float32) require_finite(image);
  return image;
}

Planes::Planes(const Task& task)
    : task_(task), intensity_(task), tables_(task.in_levels() ? static_cast<std::size_t>(task.in_channels()) : 0) {
  for (std::size_t c = 0; c < tables_.size(); ++c) {
    for (int level = 0; level < 256; ++level) tables_[c][static_cast<std::size_t>(level)] = fixed(level, c);
  }
}

float Planes::fixed(double value, std::size_t channel) const {
  const double mean = task_.mean.size() == 1 ? task_.mean[0] : task_.mean[channel];
  const double deviation = task_.std.size() == 1 ? task_.std[0] : task_.std[channel];
  return static_cast<float>((value / task_.scale - mean) / deviation);
}

template <class T, class Plane>
void Planes::split(const ImageView& image, Plane* to) {
  const int channels = task_.in_channels();
  const bool has_colours = task_.channels != Channels::named && image.channels >= 3;
  for (int c = 0; c < channels; ++c) {
    int source = 0;
    if (task_.channels == Channels::named) {
      source = task_.picks.empty() ? c : task_.picks[static_cast<std::size_t>(c)];
    } else if (has_colours) {
      source = task_.channels == Channels::bgr ? channels - 1 - c : c;
    }
    const bool mixes = has_colours && task_.channels == Channels::grey;
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        const T value = value_at<T>(image, y, x, source);
        *to++ = static_cast<Plane>(mixes ? luma(value, value_at<T>(image, y, x, 1), value_at<T>(image, y, x, 2)) : value);
      }
    }
  }
}

void Planes::take(const ImageView& view) {
  const ImageView image = checked(view, task_);
  height_ = image.height;
  width_ = image.width;
  const std::size_t size = area(height_, width_) * static_cast<std::size_t>(task_.in_channels());
  if (task_.in_levels()) {
    levels_.resize(size + row_padding);
    return split<std::uint8_t>(image, levels_.data());
  }
  values_.resize(size);
  switch (image.dtype) {  // every one of these types fits into float32
    case Dtype::uint16:
      split<std::uint16_t>(image, values_.data());
      break;
    case Dtype::int16:
      split<std::int16_t>(image, values_.data());
      break;
    case Dtype::float32:
      split<float>(image, values_.data());
      break;
    default:
      split<std::uint8_t>(image, values_.data());
  }
  intensity_(values_.data(), task_.in_channels(), height_, width_);
}

std::size_t Planes::first_of(const Placement& p, std::size_t channel) const {
  return channel * area(height_, width_) + area(p.top, width_) + static_cast<std::size_t>(p.left);
}

void Planes::put(const Placement& placement, float* out) {
  if (task_.in_levels()) {
    put_levels(placement, out);
  } else {
    put_values(placement, out);
  }
}

void Planes::put_levels(const Placement& p, float* out) {
  const std::size_t part = area(p.rows, p.columns), channels = tables_.size();
  parts_.resize(part * channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint8_t* first = levels_.data() + first_of(p, c);
    const std::uint8_t* resized =
        level_resizer_(first, p.height, p.width, static_cast<std::size_t>(width_), p.rows, p.columns, task_.resize);
    std::memcpy(parts_.data() + c * part, resized, part);
  }
  double low = 0.0, high = task_.scale;
  if (task_.normalize == Normalize::minmax) {
    const auto [least, largest] = std::minmax_element(parts_.begin(), parts_.end());
    low = *least;
    high = *largest;
    for (int level = *least; level <= *largest; ++level) {
      const auto value = static_cast<float>((level - low) / (high - low + minmax_epsilon));
      for (auto& table : tables_) table[static_cast<std::size_t>(level)] = value;
    }
  }
  const double level = std::floor(low + task_.pad_value * (high - low) + 0.5);
  const auto padding = static_cast<std::uint8_t>(std::clamp(level, 0.0, 255.0));
  const std::size_t whole = area(task_.height, task_.width);
  for (std::size_t c = 0; c < channels; ++c, out += whole) {
    const float* table = tables_[c].data();
    if (part != whole) std::fill(out, out + whole, table[padding]);
    const std::uint8_t* from = parts_.data() + c * part;
    for (int y = 0; y < p.rows; ++y) {
      float* to = out + area(y + p.down, task_.width) + static_cast<std::size_t>(p.right);
      for (int x = 0; x < p.columns; ++x) *to++ = table[*from++];
    }
  }
}

void Planes::put_values(const Placement& p, float* out) {
  const std::size_t part = area(p.rows, p.columns), whole = area(task_.height, task_.width);
  const bool scales = task_.normalize == Normalize::fixed;
  for (std::size_t c = 0; c < static_cast<std::size_t>(task_.in_channels()); ++c, out += whole) {
    const float* first = values_.data() + first_of(p, c);
    const float* from =
        real_resizer_(first, p.height, p.width, static_cast<std::size_t>(width_), p.rows, p.columns, task_.resize);
    const auto padding = static_cast<float>(task_.pad_value);
    if (part != whole) std::fill(out, out + whole, scales ? fixed(padding, c) : padding);
    for (int y = 0; y < p.rows; ++y) {
      float* to = out + area(y + p.down, task_.width) + static_cast<std::size_t>(p.right);
      for (int x = 0; x < p.columns; ++x, ++from) *to++ = scales ? fixed(*from, c) : *from;
    }
  }
}

}  // namespace segedge
