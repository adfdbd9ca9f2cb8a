// Segments one grey gradient and counts its foreground: example-segment-cpp ENGINE
#include <cstdio>
#include <segedge/engine.hpp>

int main(int, char** argv) {
  auto engine = segedge::Engine::load(argv[1] != nullptr ? argv[1] : "engine");
  if (!engine) {
    std::fprintf(stderr, "error: %s\n", engine.error().message.c_str());
    return static_cast<int>(engine.error().fault);
  }
  std::vector<std::uint8_t> pixels(480 * 640 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i / 3 % 256);
  const auto mask = engine->segment({pixels.data(), 480, 640, 3});
  if (!mask) return static_cast<int>(mask.error().fault);
  std::size_t foreground = 0;
  for (const std::uint8_t label : mask->labels) foreground += label != 0;
  std::printf("%dx%d, %zu foreground pixels\n", mask->width, mask->height, foreground);
}
