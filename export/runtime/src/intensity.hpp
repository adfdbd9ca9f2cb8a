// [task.intensity]: what a network is given of values that are not 8-bit levels, and the figures it takes from an image.
// The specification is the docstrings of edge/task/intensity.py and edge/task/statistics.py.
#pragma once

#include <vector>

#include "segedge/task.hpp"

namespace segedge {

/// Turns planes of values into float32 that the network was trained on, in place. Memory is used again.
class IntensityStep {
 public:
  explicit IntensityStep(const Task& task);

  /// `channels` planes of `rows x columns`, one after the other.
  void operator()(float* values, int channels, int rows, int columns);

 private:
  void measure(const float* values, int channels, int rows, int columns);
  Pair percentiles(const float* values, std::size_t count);
  Pair extremes(const float* values, std::size_t count, const Pair* limits) const;
  Pair moments(const float* values, int channels, int rows, int columns, const Pair* limits);
  double total(const float* values, int channels, int rows, int columns, const Pair* limits, const double* mean);
  const Pair* limits_of(std::size_t channel) const;

  Intensity intensity_;
  Normalize normalize_;
  bool together_;  ///< the channels are colours of one picture
  std::vector<Pair> levels_, spread_;
  std::vector<float> chosen_;
  std::vector<double> columns_;
};

}  // namespace segedge
