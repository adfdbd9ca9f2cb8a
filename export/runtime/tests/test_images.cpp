#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "check.hpp"
#include "codec.hpp"
#include "failure.hpp"

namespace fs = std::filesystem;
using segedge::tool::read_image;

namespace {

fs::path scratch(const char* name) { return fs::temp_directory_path() / (std::string("segedge-") + std::to_string(getpid()) + name); }

bool refuses(const fs::path& path) {
  try {
    read_image(path.string());
    return false;
  } catch (const segedge::Failure& failure) {
    return failure.fault() == segedge::Fault::input;
  }
}

}  // namespace

CASE(images, png_round_trip_and_every_truncation) {
  const fs::path path = scratch("a.png"), cut = scratch("cut.png");
  std::vector<std::uint8_t> grey(7 * 5);
  for (std::size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<std::uint8_t>(i * 7);
  segedge::tool::write_png(path.string(), 5, 7, grey.data());
  const auto image = read_image(path.string());
  CHECK_EQUAL(image.height, 5);
  CHECK_EQUAL(image.channels, 1);
  CHECK(image.bytes == grey);

  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  for (std::size_t size = 0; size < bytes.size() - 16; ++size) {  // the last bytes are checksum and end mark
    std::ofstream(cut, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(size));
    if (!refuses(cut)) check::failed(__FILE__, __LINE__, "decodes the first " + std::to_string(size) + " bytes");
  }
  fs::remove(path);
  fs::remove(cut);
}

CASE(images, garbage_is_refused) {
  CHECK(refuses("/nonexistent.png"));
  const fs::path path = scratch("b.png");
  for (const std::string& bytes : {std::string("\x89PNG\r\n\x1a\n"), std::string(4096, '\xff'), std::string("\xff\xd8\xff\xe0", 4)}) {
    std::ofstream(path, std::ios::binary) << bytes;
    CHECK(refuses(path));
  }
  fs::remove(path);
}

CASE(images, unwritable_folder_is_the_machine_s_fault) {
  const std::uint8_t pixel = 1;
  bool refused = false;
  try {
    segedge::tool::write_png("/nonexistent/a.png", 1, 1, &pixel);
  } catch (const segedge::Failure& failure) {
    refused = failure.fault() == segedge::Fault::machine;
  }
  CHECK(refused);
}
