// Steps 4 and 5 of the task's specification: decide, return to the image's own size.
#pragma once

#include <cstdint>
#include <vector>

#include "segedge/image.hpp"
#include "segedge/task.hpp"

namespace segedge {

class Postprocessor {
 public:
  explicit Postprocessor(const Task& task);

  /// `[maps, rows, columns]` float32 to `height x width` class indices.
  void operator()(const float* output, int rows, int columns, int height, int width, std::uint8_t* labels);

 private:
  void decide(const float* output, std::size_t pixels, std::uint8_t* labels);

  int maps_;
  bool difference_;  ///< two softmax maps: decided on map1 - map0
  float cut_;
  std::vector<std::uint8_t> decided_;
  std::vector<float> best_;
  std::vector<int> rows_, columns_;
};

}  // namespace segedge
