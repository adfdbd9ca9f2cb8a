#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "arguments.hpp"
#include "codec.hpp"
#include "commands.hpp"
#include "failure.hpp"
#include "load.hpp"

namespace segedge::tool {
namespace {

namespace fs = std::filesystem;

/// A class name as part of a file's, as `edge segment` writes it.
std::string safe(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' || (c & '\x80') != 0;
    if (plain || out.empty() || out.back() != '-') out += plain ? c : '-';
  }
  const std::size_t first = out.find_first_not_of(".-");
  if (first == std::string::npos) return "class";
  return out.substr(first, out.find_last_not_of(".-") - first + 1);
}

/// Where the masks of an image go: one file, or one for each overlapping class.
std::vector<fs::path> masks_of(const std::string& image, const fs::path& out, const Task& task) {
  const std::string stem = fs::path(image).stem().string();
  if (!task.overlapping) return {out / (stem + ".png")};
  std::vector<fs::path> paths;
  for (const std::string& name : task.classes) paths.push_back(out / (stem + "_" + safe(name) + ".png"));
  return paths;
}

/// With links followed as far as the path exists; as it is where it does not.
fs::path resolved(const fs::path& path) {
  std::error_code ignored;
  const fs::path real = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return real.empty() ? path : real;
}

/// A mask is never written over an image or another mask, as `edge segment` refuses it too.
void require_places(const Words& images, const fs::path& out, const Task& task) {
  std::map<fs::path, std::string> sources, taken;
  for (const std::string& image : images) sources.emplace(resolved(image), image);
  for (const std::string& image : images) {
    for (const fs::path& place : masks_of(image, out, task)) {
      if (sources.count(resolved(place)) != 0) {
        fail_input(image + ": its mask would replace an input image; choose another --out");
      }
      const auto [other, is_new] = taken.emplace(place, image);
      if (!is_new) {
        fail_input(image + ": has the stem of " + other->second + "; masks would overwrite each other, rename one");
      }
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

  void add(const fs::path& place, int height, int width, const std::uint8_t* labels) {
    const std::string sibling = place.string() + "." + std::to_string(getpid());
    written_.emplace_back(sibling, place.string());
    write_png(sibling, height, width, labels);
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
  const Arguments arguments(words, with_loading({"--out"}), with_loading_flags({}));
  if (arguments.words().size() < 2) fail_input("infer: give an engine folder and at least one image");
  if (!arguments.has("--out")) fail_input("infer: give --out DIR for the masks");
  const Words images(arguments.words().begin() + 1, arguments.words().end());
  const fs::path out = arguments.text("--out", "");
  Engine engine = loaded(arguments);
  const Task& task = engine.info().task;
  require_places(images, out, task);
  std::error_code fault;
  fs::create_directories(out, fault);
  if (fault == std::errc::not_a_directory || fault == std::errc::file_exists) {
    fail_input(out.string() + ": a folder on the way is a file; choose another --out");
  }
  if (fault) fail_machine(out.string() + ": cannot be made (" + fault.message() + "); choose another --out");
  const bool two_levels = task.overlapping || task.classes.size() <= 2;
  Mask mask;
  Drafts drafts;
  for (const std::string& path : images) {
    const Image image = read_image(path);
    const Status done = engine.segment(image.view(), mask);
    if (!done) throw Failure(done.error().fault, path + ": " + done.error().message);
    if (two_levels) {
      for (std::uint8_t& label : mask.labels) label = static_cast<std::uint8_t>(label * 255);
    }
    const std::uint8_t* labels = mask.labels.data();
    for (const fs::path& place : masks_of(path, out, task)) {
      drafts.add(place, mask.height, mask.width, labels);
      labels += static_cast<std::size_t>(mask.height) * static_cast<std::size_t>(mask.width);
    }
  }
  drafts.publish();
  say_who_vouches(engine);
  return 0;
}

}  // namespace segedge::tool
