// Segments a picture of a bright disc, and says how much of it is foreground: app ENGINE
#include <cstdint>
#include <cstdio>
#include <vector>

#include <segedge/engine.hpp>

int main(int argc, char** argv) {
  auto engine = segedge::Engine::load(argc > 1 ? argv[1] : "engine");
  if (!engine) {
    std::fprintf(stderr, "error: %s\n", engine.error().message.c_str());
    return static_cast<int>(engine.error().fault);
  }

  constexpr int height = 120, width = 160;  // your camera's; any size
  std::vector<std::uint8_t> pixels(height * width * 3, 30);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool inside = (y - 60) * (y - 60) + (x - 80) * (x - 80) < 30 * 30;
      for (int c = 0; inside && c < 3; ++c) pixels[(y * width + x) * 3 + c] = 220;
    }
  }

  const auto mask = engine->segment({pixels.data(), height, width, 3});
  if (!mask) {
    std::fprintf(stderr, "error: %s\n", mask.error().message.c_str());
    return static_cast<int>(mask.error().fault);
  }
  std::size_t foreground = 0;
  for (const std::uint8_t label : mask->labels) foreground += label != 0;
  std::printf("%d x %d, %zu foreground pixels\n", mask->width, mask->height, foreground);
  return 0;
}
