// 10 000 frames of several sizes: our own steps allocate nothing after warm-up, and the whole frame leaks nothing.
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
// malloc counts what lies in a thread's cache as used, so a level may differ by a block or two however it is read. A
// leak of the smallest block (16 bytes) in every hundredth frame comes to 1 600.
constexpr long long cached = 1024;
constexpr int sizes[][3] = {{16, 24, 3}, {31, 17, 1}, {48, 64, 4}};

int fail(const char* what, long value) {
  std::fprintf(stderr, "%s: %ld\n", what, value);
  return 1;
}

/// Tiles, float values and statistics of each image: nothing is allocated either, once the sizes have been seen.
int values_and_tiles() {
  std::vector<std::uint16_t> values(48 * 64 * 2);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i * 37 % 4096);
  segedge::Task task;
  task.height = 16;
  task.width = 24;
  task.channels = segedge::Channels::named;
  task.named = 2;
  task.resize = segedge::Resize::bicubic;
  task.normalize = segedge::Normalize::zscore;
  task.classes = {"a", "b"};
  task.overlapping = true;
  task.upsample = segedge::Resize::bilinear;
  task.intensity.emplace();
  task.intensity->percentile = segedge::Pair{0.5, 99.5};
  std::vector<float> input(2 * 16 * 24), output(2 * 8 * 12, 0.5F);
  std::vector<std::uint8_t> labels(2 * 48 * 64);
  for (const auto fit : {segedge::Fit::stretch, segedge::Fit::letterbox, segedge::Fit::crop, segedge::Fit::tile}) {
    task.fit = fit;
    segedge::Preprocessor prepare(task);
    segedge::Postprocessor finish(task);
    segedge::Grid grid;
    const auto frame = [&](int index) {
      const int* size = sizes[index % 3];
      const segedge::ImageView view{values.data(), size[0], size[1], 2, 0, segedge::Dtype::uint16};
      if (fit != segedge::Fit::tile) {
        prepare(view, input.data());
        return finish(output.data(), 8, 12, view.height, view.width, labels.data());
      }
      prepare.take_whole(view);
      grid.prepare(task, view.height, view.width);
      finish.start(grid, labels.data());
      for (std::size_t tile = 0; tile < grid.size(); ++tile) {
        prepare.put_tile(grid.placement(tile), input.data());
        finish.add_tile(output.data(), 8, 12);
      }
    };
    constexpr int values_frames = 300;
    for (int index = 0; index < 6; ++index) frame(index);
    const long before = made;
    for (int index = 0; index < values_frames; ++index) frame(index);
    if (made != before) return fail("allocations in 300 frames of values and tiles", made - before);
  }
  return 0;
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

  if (const int fault = values_and_tiles()) return fault;

  int frame = 0, failed = 0;
  const auto next = [&] { failed += !whole_frame(frame++); };
  const long live = made - freed, calls = made;
  const long long bytes = segedge::tool::heap_growth(next, frames);
  const long grown = made - freed - live;
  if (failed != 0) return fail("frames failed", failed);
  if (grown != 0) return fail("live blocks grew by", grown);
  if (bytes > cached) return fail("heap grew by bytes", static_cast<long>(bytes));
  std::printf("0 allocations of our own and %lld bytes of heap growth over %d frames; OpenVINO made and freed %.1f blocks a frame\n",
              bytes, frames, static_cast<double>(made - calls) / frame);
  return 0;
}
