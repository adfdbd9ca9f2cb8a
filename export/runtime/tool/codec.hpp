// PNG and JPEG files: decoded as the toolkit decodes them, masks encoded as PNG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "segedge/image.hpp"

namespace segedge::tool {

struct Image {
  int height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;

  ImageView view() const noexcept { return {pixels.data(), height, width, channels, 0}; }
};

/// Decodes to grey or RGB, 8 bits: 16-bit grey is divided by 257 and rounded, of 16-bit colour the high byte is kept,
/// palettes are expanded, alpha is dropped. Throws Failure(Fault::input).
Image read_image(const std::string& path);

/// Writes 8-bit grey; a file that could not be written whole is removed. Throws Failure(Fault::machine).
void write_png(const std::string& path, int height, int width, const std::uint8_t* grey);

}  // namespace segedge::tool
