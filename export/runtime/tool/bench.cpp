#include <algorithm>
#include <cstdio>
#include <random>

#include "arguments.hpp"
#include "codec.hpp"
#include "commands.hpp"
#include "heap.hpp"
#include "json.hpp"
#include "load.hpp"
#include "statistics.hpp"
#include "watch.hpp"

namespace segedge::tool {
namespace {

constexpr const char* percentiles = "sorted[max(n - 1 - floor((1 - p) n), 0)], no interpolation (as trtexec)";

/// Seeded noise of the network's own size, where no image is given.
Image noise(const Task& task) {
  const bool named = task.channels == Channels::named;
  const int most = task.picks.empty() ? task.named - 1 : *std::max_element(task.picks.begin(), task.picks.end());
  Image image{task.height, task.width, named ? most + 1 : 3, {}, Dtype::uint8};
  image.bytes.resize(static_cast<std::size_t>(task.height) * static_cast<std::size_t>(task.width) *
                     static_cast<std::size_t>(image.channels));
  std::mt19937 random(0);
  for (std::uint8_t& value : image.bytes) value = static_cast<std::uint8_t>(random() & 255U);
  return image;
}

std::vector<std::pair<std::string, std::string>> conditions_of(const Engine& engine, const std::string& region,
                                                               double seconds) {
  auto conditions = value_of(engine.conditions());
  char spent[32];
  std::snprintf(spent, sizeof spent, "%g", seconds);
  conditions.emplace_back("timed_region", json::quoted(region));
  conditions.emplace_back("affinity", affinity());
  conditions.emplace_back("percentiles", json::quoted(percentiles));
  conditions.emplace_back("seconds", spent);
  return conditions;
}

void print_line(const char* what, const Latency& latency) {
  std::printf("%-14s p50 %.3f  p90 %.3f  p99 %.3f  mean %.3f  min %.3f ms  CoV %.1f %%  n %zu\n", what, latency.p50,
              latency.p90, latency.p99, latency.mean, latency.min, 100.0 * latency.cov, latency.n);
  for (const std::string& warning : latency.warnings) std::fprintf(stderr, "warning: %s: %s\n", what, warning.c_str());
}

/// Bytes by which the heap grows over that many frames, after some that may still fill caches.
long long frames_growth(Engine& engine, const ImageView& view, Mask& mask, int frames) {
  const auto frame = [&] { require_ok(engine.segment(view, mask)); };
  for (int warm = 0; warm < std::min(frames, 300); ++warm) frame();
  return heap_growth(frame, frames);
}

}  // namespace

int run_bench(const Words& words) {
  const Arguments arguments(words, with_loading({"--image", "--seconds", "--heap-frames"}), with_loading_flags({"--json"}));
  if (arguments.words().size() != 1) fail_input("bench: give one engine folder");
  const double seconds = arguments.number("--seconds", 10.0, 0.01, 3600.0);
  Engine engine = loaded(arguments);
  const Image image = arguments.has("--image") ? read_image(arguments.text("--image", "")) : noise(engine.info().task);
  const ImageView view = image.view();
  Mask mask;
  require_ok(engine.preprocess(view));
  std::vector<Timed> calls(3);
  calls[0].run = [&] { require_ok(engine.compute()); };
  calls[1].run = [&] { require_ok(engine.segment(view, mask)); };
  calls[2].run = [&] {
    require_ok(engine.preprocess(view));
    if (engine.info().task.fit != Fit::tile) require_ok(engine.postprocess(view.height, view.width, mask));
  };
  interleave(calls, seconds);
  say_who_vouches(engine);
  const int frames = static_cast<int>(arguments.number("--heap-frames", 0, 0, 1e6));
  const long long grown = frames > 0 ? frames_growth(engine, view, mask, frames) : 0;
  const double over_compute = ratio(calls[1], calls[0]);
  if (arguments.has("--json")) {
    const EngineInfo& info = engine.info();
    const std::string heap = frames == 0 ? "null"
                                         : "{\"frames\": " + std::to_string(frames) +
                                               ", \"grown_bytes\": " + std::to_string(grown) + "}";
    std::printf(
        "{\"schema\": \"segedge.bench/1\", \"engine\": %s, \"backend\": %s, \"precision\": %s, \"image\": [%d, %d, %d], "
        "\"latency_ms\": %s, \"frame_ms\": %s, \"steps_ms\": %s, \"frame_over_compute\": %.6g, \"heap\": %s}\n",
        json::quoted(info.name).c_str(), json::quoted(info.backend).c_str(), json::quoted(info.precision).c_str(),
        image.height, image.width, image.channels,
        to_json(calls[0].latency, conditions_of(engine, "compute", seconds)).c_str(),
        to_json(calls[1].latency, conditions_of(engine, "decoded frame to mask", seconds)).c_str(),
        to_json(calls[2].latency, conditions_of(engine, "pre- and post-processing", seconds)).c_str(), over_compute,
        heap.c_str());
    return 0;
  }
  print_line("compute", calls[0].latency);
  print_line("frame to mask", calls[1].latency);
  print_line("pre and post", calls[2].latency);
  std::printf("frame / compute %.3f (%d x %d image, %d channel(s))\n", over_compute, image.width, image.height, image.channels);
  if (frames > 0) std::printf("heap growth over %d frames: %lld bytes\n", frames, grown);
  return 0;
}

}  // namespace segedge::tool
