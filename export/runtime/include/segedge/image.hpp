// Decoded pixels in, class indices out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace segedge {

/// Decoded 8-bit pixels that somebody else owns, row by row from the top.
struct ImageView {
  const std::uint8_t* data = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;           ///< 1 grey, 3 RGB, 4 RGB and a byte that is ignored
  std::ptrdiff_t stride = 0;  ///< bytes from row to row; 0 where rows follow each other
};

/// Class indices at the image's own size; 0 is background.
struct Mask {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> labels;  ///< `height * width`, row by row
};

}  // namespace segedge
