#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "arguments.hpp"
#include "codec.hpp"
#include "commands.hpp"

namespace segedge::tool {
namespace {

namespace fs = std::filesystem;

fs::path mask_of(const std::string& image, const fs::path& out) { return out / fs::path(image).stem().concat(".png"); }

/// With links followed as far as the path exists; as it is where it does not.
fs::path resolved(const fs::path& path) {
  std::error_code ignored;
  const fs::path real = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return real.empty() ? path : real;
}

void require_distinct_stems(const Words& images) {
  std::map<std::string, std::string> stems;
  for (const std::string& image : images) {
    const auto [other, is_new] = stems.emplace(fs::path(image).stem().string(), image);
    if (!is_new) {
      fail_input(image + ": has the stem of " + other->second + "; masks would overwrite each other, rename one");
    }
  }
}

/// A mask is never written over one of the images, as `edge segment` refuses it too.
void require_other_places(const Words& images, const fs::path& out) {
  std::map<fs::path, std::string> sources;
  for (const std::string& image : images) sources.emplace(resolved(image), image);
  for (const std::string& image : images) {
    if (sources.count(resolved(mask_of(image, out))) != 0) {
      fail_input(image + ": its mask would replace an input image; choose another --out");
    }
  }
}

/// Masks that were written beside their places: all of them take their places, or none does.
class Drafts {
 public:
  Drafts() = default;
  Drafts(const Drafts&) = delete;
  Drafts& operator=(const Drafts&) = delete;
  ~Drafts() {
    for (const auto& [sibling, place] : written_) std::remove(sibling.c_str());
  }

  void add(const fs::path& place, const Mask& mask) {
    const std::string sibling = place.string() + "." + std::to_string(getpid());
    written_.emplace_back(sibling, place.string());
    write_png(sibling, mask.height, mask.width, mask.labels.data());
  }

  void publish() {
    for (const auto& [sibling, place] : written_) {
      if (std::rename(sibling.c_str(), place.c_str()) != 0) {
        fail_machine(place + ": cannot be written; check the disk's space and permissions");
      }
      std::printf("%s\n", place.c_str());
    }
    written_.clear();
  }

 private:
  std::vector<std::pair<std::string, std::string>> written_;
};

}  // namespace

int run_infer(const Words& words) {
  const Arguments arguments(words, {"--out", "--threads"}, {});
  if (arguments.words().size() < 2) fail_input("infer: give an engine folder and at least one image");
  if (!arguments.has("--out")) fail_input("infer: give --out DIR for the masks");
  const Words images(arguments.words().begin() + 1, arguments.words().end());
  require_distinct_stems(images);
  const fs::path out = arguments.text("--out", "");
  require_other_places(images, out);
  Engine engine = value_of(Engine::load(arguments.words()[0], {static_cast<int>(arguments.number("--threads", 0, 0, 1024))}));
  std::error_code fault;
  fs::create_directories(out, fault);
  if (fault == std::errc::not_a_directory || fault == std::errc::file_exists) {
    fail_input(out.string() + ": a folder on the way is a file; choose another --out");
  }
  if (fault) fail_machine(out.string() + ": cannot be made (" + fault.message() + "); choose another --out");
  const bool two_levels = engine.info().task.classes.size() <= 2;
  Mask mask;
  Drafts drafts;
  for (const std::string& path : images) {
    const Image image = read_image(path);
    require_ok(engine.segment(image.view(), mask));
    if (two_levels) {
      for (std::uint8_t& label : mask.labels) label = static_cast<std::uint8_t>(label * 255);
    }
    drafts.add(mask_of(path, out), mask);
  }
  drafts.publish();
  return 0;
}

}  // namespace segedge::tool
