// What masks an engine should give: raw pixels and expected labels, as a bundle or the toolkit writes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "json.hpp"
#include "segedge/image.hpp"

namespace segedge::tool {

/// One image and what is expected of it. The labels may be of another size than the pixels: a bundle carries 8-bit
/// images at the network's size and scores them at each image's own; others it carries whole.
struct Expected {
  std::string name;
  int height = 0, width = 0, channels = 0;
  Dtype dtype = Dtype::uint8;
  std::vector<std::uint8_t> pixels;
  int rows = 0, columns = 0, maps = 1;
  std::vector<std::uint8_t> labels;  ///< `maps * rows * columns`: class indices, or a map of 0 and 1 for each class

  ImageView view() const noexcept { return {pixels.data(), height, width, channels, 0, dtype}; }
  /// As decoded, at its own size, so that the task does all of it; a bundle cuts images into tiles on the device.
  bool whole() const noexcept { return height == rows && width == columns; }
};

/// A folder with `reference.json`, or an unpacked bundle, whose own hash of that file is compared first.
class Reference {
 public:
  /// Throws Failure(Fault::input).
  explicit Reference(const std::filesystem::path& folder);

  std::size_t size() const { return rows().size(); }
  /// Reads one image; its bytes are compared with their SHA-256. Throws Failure(Fault::input).
  Expected read(std::size_t index) const;

 private:
  const json::Array& rows() const { return table_.at("images").array(); }

  std::filesystem::path folder_;
  json::Value table_;
};

}  // namespace segedge::tool
