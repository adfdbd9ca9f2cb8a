#include <cstdio>
#include <filesystem>
#include <map>

#include "arguments.hpp"
#include "codec.hpp"
#include "commands.hpp"

namespace segedge::tool {
namespace {

namespace fs = std::filesystem;

void require_distinct_stems(const Words& images) {
  std::map<std::string, std::string> stems;
  for (const std::string& image : images) {
    const auto [other, is_new] = stems.emplace(fs::path(image).stem().string(), image);
    if (!is_new) {
      fail_input(image + ": has the stem of " + other->second + "; masks would overwrite each other, rename one");
    }
  }
}

}  // namespace

int run_infer(const Words& words) {
  const Arguments arguments(words, {"--out", "--threads"}, {});
  if (arguments.words().size() < 2) fail_input("infer: give an engine folder and at least one image");
  if (!arguments.has("--out")) fail_input("infer: give --out DIR for the masks");
  const Words images(arguments.words().begin() + 1, arguments.words().end());
  require_distinct_stems(images);
  const fs::path out = arguments.text("--out", "");
  Engine engine = value_of(Engine::load(arguments.words()[0], {static_cast<int>(arguments.number("--threads", 0, 0, 1024))}));
  std::error_code fault;
  fs::create_directories(out, fault);
  if (fault) fail_machine(out.string() + ": cannot be made (" + fault.message() + "); choose another --out");
  const bool two_levels = engine.info().task.classes.size() <= 2;
  Mask mask;
  for (const std::string& path : images) {
    const Image image = read_image(path);
    require_ok(engine.segment(image.view(), mask));
    if (two_levels) {
      for (std::uint8_t& label : mask.labels) label = static_cast<std::uint8_t>(label * 255);
    }
    const fs::path to = out / fs::path(path).stem().concat(".png");
    write_png(to.string(), mask.height, mask.width, mask.labels.data());
    std::printf("%s\n", to.string().c_str());
  }
  return 0;
}

}  // namespace segedge::tool
