// PNG, JPEG and .npy files: decoded as the toolkit decodes them, no value changed; masks encoded as PNG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "segedge/image.hpp"

namespace segedge::tool {

using File = std::vector<std::uint8_t>;

struct Image {
  int height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> bytes;  ///< of the values, in the machine's byte order, channels interleaved
  Dtype dtype = Dtype::uint8;

  ImageView view() const noexcept { return {bytes.data(), height, width, channels, 0, dtype}; }
};

/// Decodes to what the file holds: 8 or 16 bits, grey or colours; palettes are expanded, alpha is dropped. An array is
/// [h, w] or [h, w, channels] of uint8, uint16, int16 or float32. Throws Failure.
Image read_image(const std::string& path);

/// An array of NumPy's format, versions 1 and 2. `path` is for messages. Throws Failure(Fault::input).
Image read_npy(const File& file, const std::string& path);

/// Writes 8-bit grey; a file that could not be written whole is removed. Throws Failure(Fault::machine).
void write_png(const std::string& path, int height, int width, const std::uint8_t* grey);

}  // namespace segedge::tool
