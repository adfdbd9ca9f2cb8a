// Decoded values in, class indices out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace segedge {

/// What the values of an image are, in the machine's own byte order.
enum class Dtype { uint8, uint16, int16, float32 };

/// Decoded values that somebody else owns, row by row from the top, channels interleaved.
struct ImageView {
  const void* data = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;           ///< as the task has them; colour tasks take 1 (grey), 3 (RGB), or 4 bytes (one is ignored)
  std::ptrdiff_t stride = 0;  ///< bytes from row to row; 0 where rows follow each other
  Dtype dtype = Dtype::uint8;
};

/// Class indices at the image's own size; 0 is background.
struct Mask {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> labels;  ///< `maps * height * width`, row by row
  int maps = 1;                      ///< where labels overlap, one of 0 and 1 for each class, in the task's order
};

}  // namespace segedge
