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

  int frame = 0, failed = 0;
  const auto next = [&] { failed += !whole_frame(frame++); };
  const long live = made - freed, calls = made;
  const long long bytes = segedge::tool::heap_growth(next, frames);
  const long grown = made - freed - live;
  if (failed != 0) return fail("frames failed", failed);
  if (grown != 0) return fail("live blocks grew by", grown);
  if (bytes > 0) return fail("heap grew by bytes", static_cast<long>(bytes));
  std::printf("0 allocations of our own and 0 bytes of heap growth over %d frames; OpenVINO made and freed %.1f blocks a frame\n",
              frames, static_cast<double>(made - calls) / frame);
  return 0;
}
