// Where on an image the network looks, and how what it says returns there. All of it is integers.
#pragma once

#include <cstdint>
#include <vector>

#include "segedge/task.hpp"

namespace segedge {

/// A rectangle of the image, what it is resized to, and where its first pixel comes to lie in the network's input.
struct Placement {
  int top, left, height, width;
  int rows, columns;
  int down = 0, right = 0;
};

/// For every fit but tile.
Placement place(Fit fit, int height, int width, int rows, int columns);

/// Decided labels back onto the image, by nearest neighbour; what the network never saw is 0.
class Return {
 public:
  /// `labels` is `rows x columns`, the network's own output size; `out` is `height x width`.
  void operator()(const Task& task, const std::uint8_t* labels, int rows, int columns, int height, int width,
                  std::uint8_t* out);

 private:
  std::vector<int> rows_, columns_;
};

}  // namespace segedge
