#include "codec.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "failure.hpp"
#include "limits.hpp"
#include "manifest.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include "stb/stb_image.h"
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include "stb/stb_image_write.h"
#pragma GCC diagnostic pop

namespace segedge::tool {
namespace {

struct FreeStb {
  void operator()(void* memory) const noexcept { stbi_image_free(memory); }
};

File read_file(const std::string& path) {
  require_regular(path, "image");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail_machine(path + ": cannot be read; check its permissions");
  File bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (bytes.empty() || bytes.size() > INT32_MAX) fail_input(path + ": does not decode as an image; replace or remove it");
  return bytes;
}

bool is_png(const File& file) { return file.size() > 33 && std::memcmp(file.data(), "\x89PNG\r\n\x1a\n", 8) == 0; }

/// Whether a PNG has compressed pixels at all; stb reads from a null pointer where it has none.
bool has_pixels(const File& png) {
  std::size_t at = 8;
  while (at + 12 <= png.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(png[at + i]); };
    const std::size_t length = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    if (length > 0 && std::memcmp(png.data() + at + 4, "IDAT", 4) == 0) return true;
    at += 12 + length;
  }
  return false;
}

/// Channels that Pillow would see: 1 where the file holds grey, whatever stb expands it to.
int kept_channels(const File& file, int decoded) {
  constexpr std::size_t colour_type_at = 25;  // in a PNG's IHDR
  constexpr int palette = 3;
  if (is_png(file) && file[colour_type_at] == palette) return 3;
  return decoded <= 2 ? 1 : 3;
}

void append(void* context, void* data, int size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  static_cast<File*>(context)->insert(static_cast<File*>(context)->end(), bytes, bytes + size);
}

}  // namespace

Image read_image(const std::string& path) {
  const File file = read_file(path);
  const int size = static_cast<int>(file.size());
  if (file.size() >= 6 && std::memcmp(file.data(), "\x93NUMPY", 6) == 0) return read_npy(file, path);
  const std::string damaged = path + ": does not decode as PNG, JPEG or .npy; replace or remove it";
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(file.data(), size, &width, &height, &channels) == 0) fail_input(damaged);
  const auto count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  if (is_png(file) && !has_pixels(file)) fail_input(damaged);
  if (count == 0) fail_input(damaged);
  if (count > limits().pixels) {
    within(path, [&]() -> bool { fail_limit("has " + std::to_string(count) + " pixels", "pixels"); });
  }
  const bool deep = stbi_is_16_bit_from_memory(file.data(), size) != 0;
  const std::unique_ptr<void, FreeStb> decoded(
      deep ? static_cast<void*>(stbi_load_16_from_memory(file.data(), size, &width, &height, &channels, 0))
           : static_cast<void*>(stbi_load_from_memory(file.data(), size, &width, &height, &channels, 0)));
  if (!decoded) fail_input(damaged);

  Image image{height, width, kept_channels(file, channels), {}, deep ? Dtype::uint16 : Dtype::uint8};
  const std::size_t value = deep ? sizeof(std::uint16_t) : 1;
  const std::size_t kept = value * static_cast<std::size_t>(image.channels);
  const std::size_t step = value * static_cast<std::size_t>(channels);
  image.bytes.resize(count * kept);
  const auto* from = static_cast<const std::uint8_t*>(decoded.get());
  for (std::size_t i = 0; i < count; ++i) std::memcpy(image.bytes.data() + i * kept, from + i * step, kept);
  return image;
}

void write_png(const std::string& path, int height, int width, const std::uint8_t* grey) {
  File file;
  if (stbi_write_png_to_func(append, &file, width, height, 1, grey, width) == 0) fail_machine(path + ": out of memory");
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  stream.close();
  if (!stream) {
    std::remove(path.c_str());
    fail_machine(path + ": cannot be written; check the disk's space and permissions");
  }
}

}  // namespace segedge::tool
