#include <cstdio>

#include "arguments.hpp"
#include "commands.hpp"
#include "json.hpp"
#include "load.hpp"
#include "reference.hpp"

namespace segedge::tool {
namespace {

struct Verdict {
  std::size_t images = 0, pixels = 0, differing = 0;
  double agreement = 0.0;  ///< mean over images of the Dice against the expected masks
  double worst = 2.0;
  std::string worst_name;
};

/// Mean Dice over the foreground classes; both empty counts 1, one empty 0.
double dice(const std::vector<std::uint8_t>& expected, const Mask& mask, const Task& task) {
  const int classes = static_cast<int>(task.classes.size());
  const int last = task.overlapping || classes == 1 ? classes : classes - 1;
  const std::size_t pixels = expected.size() / static_cast<std::size_t>(task.mask_maps());
  double total = 0.0;
  for (int c = 1; c <= last; ++c) {
    const std::size_t first = task.overlapping ? static_cast<std::size_t>(c - 1) * pixels : 0;
    const int value = task.overlapping ? 1 : c;
    std::size_t both = 0, sum = 0;
    for (std::size_t i = first; i < first + pixels; ++i) {
      const bool a = expected[i] == value, b = mask.labels[i] == value;
      both += a && b;
      sum += static_cast<std::size_t>(a) + static_cast<std::size_t>(b);
    }
    total += sum == 0 ? 1.0 : 2.0 * static_cast<double>(both) / static_cast<double>(sum);
  }
  return total / last;
}

Verdict compared(Engine& engine, const Reference& reference) {
  Verdict verdict;
  Mask mask;
  double total = 0.0;
  for (std::size_t index = 0; index < reference.size(); ++index) {
    const Expected image = reference.read(index);
    if (image.whole()) {
      require_ok(engine.segment(image.view(), mask));
    } else {
      require_ok(engine.preprocess(image.view()));
      require_ok(engine.compute());
      require_ok(engine.postprocess(image.rows, image.columns, mask));
    }
    if (mask.labels.size() != image.labels.size()) {
      fail_input(image.name + ": the engine's mask is of another shape than the reference; make the reference again");
    }
    const double agreement = dice(image.labels, mask, engine.info().task);
    total += agreement;
    if (agreement < verdict.worst) {
      verdict.worst = agreement;
      verdict.worst_name = image.name;
    }
    for (std::size_t i = 0; i < image.labels.size(); ++i) verdict.differing += image.labels[i] != mask.labels[i];
    verdict.pixels += image.labels.size();
    ++verdict.images;
  }
  verdict.agreement = total / static_cast<double>(verdict.images);
  return verdict;
}

}  // namespace

int run_verify(const Words& words) {
  const Arguments arguments(words, with_loading({"--min-agreement"}), with_loading_flags({"--exact", "--json"}));
  if (arguments.words().size() != 2) fail_input("verify: give an engine folder, and a reference folder or an unpacked bundle");
  const double least = arguments.number("--min-agreement", 0.98, 0.0, 1.0);
  const Reference reference(arguments.words()[1]);
  Engine engine = loaded(arguments);
  const Verdict found = compared(engine, reference);
  const bool passed = arguments.has("--exact") ? found.differing == 0 : found.agreement >= least;
  if (arguments.has("--json")) {
    std::printf(
        "{\"schema\": \"segedge.verify/1\", \"engine\": %s, \"images\": %zu, \"pixels\": %zu, \"differing_pixels\": %zu, "
        "\"agreement\": %.17g, \"worst\": {\"image\": %s, \"agreement\": %.17g}, \"passed\": %s}\n",
        json::quoted(engine.info().name).c_str(), found.images, found.pixels, found.differing, found.agreement,
        json::quoted(found.worst_name).c_str(), found.worst, passed ? "true" : "false");
  } else {
    std::printf("%s: %zu images, %zu of %zu pixels differ, agreement %.4f (worst %.4f, %s)\n", passed ? "passed" : "FAILED",
                found.images, found.differing, found.pixels, found.agreement, found.worst, found.worst_name.c_str());
  }
  say_who_vouches(engine);
  return passed ? 0 : 1;
}

}  // namespace segedge::tool
