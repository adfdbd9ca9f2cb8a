// 10 000 frames of several sizes: our own steps allocate nothing after warm-up, and the whole frame does not grow the heap.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "heap.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"
#include "segedge/engine.hpp"

namespace {

std::atomic<long> made{0}, freed{0};

void* allocate(std::size_t size) {
  ++made;
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept {
  freed += memory != nullptr;
  std::free(memory);
}
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }

namespace {

constexpr int frames = 10000;
constexpr int windows = 4;
constexpr int sizes[][3] = {{16, 24, 3}, {31, 17, 1}, {48, 64, 4}};

int fail(const char* what, long value) {
  std::fprintf(stderr, "%s: %ld\n", what, value);
  return 1;
}

}  // namespace

int main() {
  auto engine = segedge::Engine::load(SEGEDGE_TINY, {1});
  if (!engine) return fail(engine.error().message.c_str(), static_cast<long>(engine.error().fault));
  std::vector<std::uint8_t> pixels(48 * 64 * 4, 77);
  segedge::Mask mask;
  segedge::Preprocessor prepare(engine->info().task);
  segedge::Postprocessor finish(engine->info().task);
  std::vector<std::uint8_t> labels(48 * 64);

  const auto view = [&](int frame) {
    const int* size = sizes[frame % 3];
    return segedge::ImageView{pixels.data(), size[0], size[1], size[2]};
  };
  const auto own_steps = [&](int frame) {
    prepare(view(frame), engine->input());
    finish(engine->output(), 16, 24, view(frame).height, view(frame).width, labels.data());
  };
  const auto whole_frame = [&](int frame) { return engine->segment(view(frame), mask).ok(); };

  for (int frame = 0; frame < 300; ++frame) {
    own_steps(frame);
    if (!whole_frame(frame)) return fail("warm-up failed at frame", frame);
  }

  const long before_steps = made;
  for (int frame = 0; frame < frames; ++frame) own_steps(frame);
  if (made != before_steps) return fail("allocations in 10 000 frames of our own steps", made - before_steps);

  // A thread that OpenVINO starts late allocates its storage once, whenever the machine lets it run; a leak grows every
  // window.
  long grown = 0, grown_bytes = 0;
  for (int window = 0; window < windows; ++window) {
    const long live = made - freed, calls = made, bytes = static_cast<long>(segedge::tool::heap_bytes());
    for (int frame = 0; frame < frames; ++frame) {
      if (!whole_frame(frame)) return fail("failed at frame", frame);
    }
    grown = made - freed - live;
    grown_bytes = static_cast<long>(segedge::tool::heap_bytes()) - bytes;
    if (grown <= 0 && grown_bytes <= 0) {
      std::printf("0 allocations of our own and 0 bytes of heap growth over %d frames (window %d); OpenVINO made and freed "
                  "%.1f blocks a frame\n",
                  frames, window + 1, static_cast<double>(made - calls) / frames);
      return 0;
    }
  }
  return grown > 0 ? fail("live blocks grew in every window, last by", grown)
                   : fail("heap grew in every window, last by bytes", grown_bytes);
}
