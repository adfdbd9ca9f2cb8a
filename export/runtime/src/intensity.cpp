#include "intensity.hpp"

#include <algorithm>
#include <cmath>

namespace segedge {
namespace {

constexpr double minmax_epsilon = 1e-6;

inline float levelled(float value, const Pair* limits) {
  if (limits == nullptr) return value;
  if (!(limits->first < limits->second)) return 0.0F;
  const double scaled = (static_cast<double>(value) - limits->first) / (limits->second - limits->first);
  return static_cast<float>(std::min(std::max(scaled, 0.0), 1.0));
}

const Pair* of(const std::vector<Pair>& pairs, std::size_t channel) {
  return pairs.empty() ? nullptr : &pairs[pairs.size() > 1 ? channel : 0];
}

}  // namespace

IntensityStep::IntensityStep(const Task& task)
    : intensity_(task.intensity.value_or(Intensity())),
      normalize_(task.normalize),
      together_(task.channels != Channels::named) {
  levels_ = intensity_.levels;
  spread_ = intensity_.spread;
}

const Pair* IntensityStep::limits_of(std::size_t channel) const {
  const Pair* learned = of(levels_, channel);
  return learned != nullptr ? learned : intensity_.limits ? &*intensity_.limits : nullptr;
}

void IntensityStep::operator()(float* values, int channels, int rows, int columns) {
  if (intensity_.scope != Scope::set) measure(values, channels, rows, columns);
  const std::size_t count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    float* plane = values + c * count;
    const Pair *limits = limits_of(c), *spread = of(spread_, c);
    if (spread == nullptr) {
      for (std::size_t i = 0; i < count && limits != nullptr; ++i) plane[i] = levelled(plane[i], limits);
      continue;
    }
    const double divisor = normalize_ == Normalize::minmax ? spread->second - spread->first + minmax_epsilon
                           : spread->second != 0.0         ? spread->second
                                                           : 1.0;
    for (std::size_t i = 0; i < count; ++i) {
      const double value = levelled(plane[i], limits);
      const bool stays = intensity_.nonzero && plane[i] == 0.0F;
      plane[i] = stays ? 0.0F : static_cast<float>((value - spread->first) / divisor);
    }
  }
}

void IntensityStep::measure(const float* values, int channels, int rows, int columns) {
  const std::size_t plane = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  const int of_group = together_ ? channels : 1;
  levels_.clear();
  spread_.clear();
  for (int c = 0; c < channels; c += of_group) {
    const float* group = values + static_cast<std::size_t>(c) * plane;
    const std::size_t count = plane * static_cast<std::size_t>(of_group);
    if (intensity_.percentile) levels_.push_back(percentiles(group, count));
    const Pair* limits = intensity_.percentile ? &levels_.back() : intensity_.limits ? &*intensity_.limits : nullptr;
    if (normalize_ == Normalize::minmax) spread_.push_back(extremes(group, count, limits));
    if (normalize_ == Normalize::zscore) spread_.push_back(moments(group, of_group, rows, columns, limits));
  }
}

Pair IntensityStep::percentiles(const float* values, std::size_t count) {
  chosen_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    if (!intensity_.nonzero || values[i] != 0.0F) chosen_.push_back(values[i]);
  }
  if (chosen_.empty()) return {0.0, 0.0};
  const auto at = [this](double percent) {
    const double place = percent / 100.0 * static_cast<double>(chosen_.size() - 1);
    const std::size_t below = std::min(static_cast<std::size_t>(std::floor(place)), chosen_.size() - 1);
    const auto here = chosen_.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(chosen_.begin(), here, chosen_.end());
    const double low = *here;
    const double high = here + 1 == chosen_.end() ? low : *std::min_element(here + 1, chosen_.end());
    return low + (high - low) * (place - static_cast<double>(below));
  };
  const double low = at(intensity_.percentile->first), high = at(intensity_.percentile->second);
  return {low, high};
}

Pair IntensityStep::extremes(const float* values, std::size_t count, const Pair* limits) const {
  bool found = false;
  float low = 0.0F, high = 0.0F;
  for (std::size_t i = 0; i < count; ++i) {
    if (intensity_.nonzero && values[i] == 0.0F) continue;
    const float value = levelled(values[i], limits);
    low = found ? std::min(low, value) : value;
    high = found ? std::max(high, value) : value;
    found = true;
  }
  return {low, high};
}

Pair IntensityStep::moments(const float* values, int channels, int rows, int columns, const Pair* limits) {
  const std::size_t plane = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  const std::size_t all = plane * static_cast<std::size_t>(channels);
  const auto zeros = intensity_.nonzero ? std::count(values, values + all, 0.0F) : 0;
  const double count = static_cast<double>(all) - static_cast<double>(zeros);
  if (count == 0.0) return {0.0, 0.0};
  const double mean = total(values, channels, rows, columns, limits, nullptr) / count;
  return {mean, std::sqrt(total(values, channels, rows, columns, limits, &mean) / count)};
}

double IntensityStep::total(const float* values, int channels, int rows, int columns, const Pair* limits,
                            const double* mean) {
  const auto width = static_cast<std::size_t>(columns), depth = static_cast<std::size_t>(channels);
  columns_.assign(width * depth, 0.0);
  for (std::size_t y = 0; y < static_cast<std::size_t>(rows); ++y) {
    for (std::size_t c = 0; c < depth; ++c) {
      const float* row = values + (c * static_cast<std::size_t>(rows) + y) * width;
      for (std::size_t x = 0; x < width; ++x) {
        if (intensity_.nonzero && row[x] == 0.0F) continue;
        double term = levelled(row[x], limits);
        if (mean != nullptr) {
          term -= *mean;
          term *= term;
        }
        columns_[x * depth + c] += term;
      }
    }
  }
  double sum = 0.0;
  for (const double term : columns_) sum += term;
  return sum;
}

}  // namespace segedge
