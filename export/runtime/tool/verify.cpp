#include <cstdio>
#include <filesystem>
#include <iterator>

#include "arguments.hpp"
#include "commands.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "sha256.hpp"

namespace segedge::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* schema = "segedge.reference/1";

struct Reference {
  std::string name;
  int height, width, channels;
  std::string pixels, labels;  // contents of the raw files
};

std::string read_raw(const fs::path& folder, const json::Value& entry, std::size_t size) {
  const std::string& name = entry.at("file").string();
  const fs::path path = folder / name;
  if (fs::path(name).filename() != name) fail_input(path.string() + ": is not a plain file name; make the reference again");
  std::string bytes = read_text(path.string());
  Sha256 digest;
  digest.update(bytes.data(), bytes.size());
  if (bytes.size() != size || digest.hex() != entry.at("sha256").string()) {
    fail_input(path.string() + ": was changed since it was made, or is not of its image's size; copy the reference again");
  }
  return bytes;
}

Reference read_reference(const fs::path& folder, const json::Value& row) {
  Reference image{row.at("name").string(), row.at("height").integer(), row.at("width").integer(),
                  row.at("channels").integer(), {}, {}};
  constexpr int largest = 1 << 15;
  if (image.height < 1 || image.width < 1 || image.height > largest || image.width > largest ||
      (image.channels != 1 && image.channels != 3)) {
    fail_input(folder.string() + ": image " + image.name + " has an impossible shape; make the reference again");
  }
  const std::size_t pixels = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
  image.pixels = read_raw(folder, row.at("pixels"), pixels * static_cast<std::size_t>(image.channels));
  image.labels = read_raw(folder, row.at("labels"), pixels);
  return image;
}

/// Mean Dice over the foreground classes; both empty counts 1, one empty 0.
double dice(const std::string& expected, const Mask& mask, const Task& task) {
  const int first = 1, last = task.maps() == 1 ? 1 : task.maps() - 1;
  double total = 0.0;
  for (int c = first; c <= last; ++c) {
    std::size_t both = 0, either = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const bool a = static_cast<unsigned char>(expected[i]) == c, b = mask.labels[i] == c;
      both += a && b;
      either += static_cast<std::size_t>(a) + static_cast<std::size_t>(b);
    }
    total += either == 0 ? 1.0 : 2.0 * static_cast<double>(both) / static_cast<double>(either);
  }
  return total / (last - first + 1);
}

std::size_t differing(const std::string& expected, const Mask& mask) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) count += static_cast<unsigned char>(expected[i]) != mask.labels[i];
  return count;
}

}  // namespace

int run_verify(const Words& words) {
  const Arguments arguments(words, {"--min-agreement", "--threads"}, {"--exact", "--json"});
  if (arguments.words().size() != 2) fail_input("verify: give an engine folder and a reference folder");
  const fs::path folder = arguments.words()[1];
  const double least = arguments.number("--min-agreement", 0.98, 0.0, 1.0);
  const json::Value table = json::parse(read_text((folder / "reference.json").string()));
  if (table.at("schema").string() != schema) fail_input(folder.string() + ": is not of schema " + schema);
  const json::Array& rows = table.at("images").array();
  if (rows.empty()) fail_input(folder.string() + ": lists no images; make the reference again");

  Engine engine = value_of(Engine::load(arguments.words()[0], {static_cast<int>(arguments.number("--threads", 0, 0, 1024))}));
  double total = 0.0, worst = 2.0;
  std::string worst_name;
  std::size_t pixels = 0, different = 0;
  Mask mask;
  for (const json::Value& row : rows) {
    const Reference image = read_reference(folder, row);
    const auto* data = reinterpret_cast<const std::uint8_t*>(image.pixels.data());
    require_ok(engine.segment({data, image.height, image.width, image.channels, 0}, mask));
    const double agreement = dice(image.labels, mask, engine.info().task);
    total += agreement;
    if (agreement < worst) {
      worst = agreement;
      worst_name = image.name;
    }
    pixels += mask.labels.size();
    different += differing(image.labels, mask);
  }
  const double mean = total / static_cast<double>(rows.size());
  const bool passed = arguments.has("--exact") ? different == 0 : mean >= least;
  if (arguments.has("--json")) {
    std::printf(
        "{\"schema\": \"segedge.verify/1\", \"images\": %zu, \"pixels\": %zu, \"differing_pixels\": %zu, "
        "\"agreement\": %.17g, \"worst\": {\"image\": %s, \"agreement\": %.17g}, \"passed\": %s}\n",
        rows.size(), pixels, different, mean, json::quoted(worst_name).c_str(), worst, passed ? "true" : "false");
  } else {
    std::printf("%s: %zu images, %zu of %zu pixels differ, agreement %.4f (worst %.4f, %s)\n", passed ? "passed" : "FAILED",
                rows.size(), different, pixels, mean, worst, worst_name.c_str());
  }
  return passed ? 0 : 1;
}

}  // namespace segedge::tool
