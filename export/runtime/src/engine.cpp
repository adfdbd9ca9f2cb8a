#include "segedge/engine.hpp"

#include <algorithm>

#include "failure.hpp"
#include "manifest.hpp"
#include "network.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"
#include "signature.hpp"

namespace segedge {

class Engine::Impl {
 public:
  Impl(EngineInfo info, std::unique_ptr<Network> network)
      : info_(std::move(info)), network_(std::move(network)), preprocess_(info_.task), postprocess_(info_.task) {
    const Shape in = network_->input_shape(), out = network_->output_shape();
    const Task& task = info_.task;
    const auto extent = [](int value) { return static_cast<std::size_t>(value); };
    if (in.c != extent(task.in_channels()) || in.h != extent(task.height) || in.w != extent(task.width)) {
      fail_input(info_.folder + ": its network's input is not of the task's channels and size; build the engine again");
    }
    if (out.n != in.n || out.c != extent(task.maps())) {
      fail_input(info_.folder + ": its network's output does not have one map a class; build the engine again");
    }
  }

  const EngineInfo& info() const noexcept { return info_; }
  Network& network() noexcept { return *network_; }
  const Network& network() const noexcept { return *network_; }

  void preprocess(const ImageView& image, std::size_t index) {
    require_place(index);
    const Shape in = network_->input_shape();
    preprocess_(image, network_->input() + index * in.c * in.h * in.w);
  }

  void postprocess(int height, int width, Mask& mask, std::size_t index) {
    require_place(index);
    if (height < 1 || width < 1) fail_input("mask: has no pixels; give the image's height and width");
    const Shape out = network_->output_shape();
    resize(mask, height, width);
    postprocess_(network_->output() + index * out.c * out.h * out.w, static_cast<int>(out.h), static_cast<int>(out.w), height,
                 width, mask.labels.data());
  }

  void segment(const ImageView& image, Mask& mask) {
    if (info_.task.fit == Fit::tile) return segment_tiles(image, mask);
    preprocess(image, 0);
    network_->run();
    postprocess(image.height, image.width, mask, 0);
  }

  std::vector<Mask> segment(const std::vector<ImageView>& images) {
    std::vector<Mask> masks(images.size());
    if (info_.task.fit == Fit::tile) {
      for (std::size_t i = 0; i < images.size(); ++i) segment_tiles(images[i], masks[i]);
      return masks;
    }
    const std::size_t batch = network_->input_shape().n;
    for (std::size_t start = 0; start < images.size(); start += batch) {
      const std::size_t count = std::min(batch, images.size() - start);
      for (std::size_t i = 0; i < count; ++i) preprocess(images[start + i], i);
      network_->run();  // places beyond the last image keep what they hold; nobody reads their masks
      for (std::size_t i = 0; i < count; ++i) {
        postprocess(images[start + i].height, images[start + i].width, masks[start + i], i);
      }
    }
    return masks;
  }

 private:
  /// As many tiles at a time as the engine was built for.
  void segment_tiles(const ImageView& image, Mask& mask) {
    preprocess_.take_whole(image);
    grid_.prepare(info_.task, image.height, image.width);
    resize(mask, image.height, image.width);
    postprocess_.start(grid_, mask.labels.data());
    const Shape in = network_->input_shape(), out = network_->output_shape();
    for (std::size_t start = 0; start < grid_.size(); start += in.n) {
      const std::size_t count = std::min(in.n, grid_.size() - start);
      for (std::size_t i = 0; i < count; ++i) {
        preprocess_.put_tile(grid_.placement(start + i), network_->input() + i * in.c * in.h * in.w);
      }
      network_->run();
      for (std::size_t i = 0; i < count; ++i) {
        const float* output = network_->output() + i * out.c * out.h * out.w;
        postprocess_.add_tile(output, static_cast<int>(out.h), static_cast<int>(out.w));
      }
    }
  }

  void resize(Mask& mask, int height, int width) const {
    mask.height = height;
    mask.width = width;
    mask.maps = info_.task.mask_maps();
    const std::size_t pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
    mask.labels.resize(pixels * static_cast<std::size_t>(mask.maps));
  }

  void require_place(std::size_t index) const {
    if (index >= network_->input_shape().n) {
      fail_input("index " + std::to_string(index) + ": the engine takes " + std::to_string(network_->input_shape().n) +
                 " image(s) at a time");
    }
  }

  EngineInfo info_;
  std::unique_ptr<Network> network_;
  Preprocessor preprocess_;
  Postprocessor postprocess_;
  Grid grid_;
};

Engine::Engine(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine EngineAccess::make(EngineInfo info, std::unique_ptr<Network> network) {
  return Engine(std::make_unique<Engine::Impl>(std::move(info), std::move(network)));
}

Result<Engine> Engine::load(const std::string& folder, const Options& options) {
  return guarded([&] {
    EngineInfo info = read_manifest(folder);
    if (!options.allow_unsigned) info.vouched = vouched(info, options.trusted_keys);
    std::unique_ptr<Network> network = open_network(info, options);
    return EngineAccess::make(std::move(info), std::move(network));
  });
}

Result<Mask> Engine::segment(const ImageView& image) {
  return guarded([&] {
    Mask mask;
    impl_->segment(image, mask);
    return mask;
  });
}

Status Engine::segment(const ImageView& image, Mask& mask) {
  return guarded([&] { impl_->segment(image, mask); });
}

Result<std::vector<Mask>> Engine::segment(const std::vector<ImageView>& images) {
  return guarded([&] { return impl_->segment(images); });
}

const EngineInfo& Engine::info() const noexcept { return impl_->info(); }
Shape Engine::input_shape() const noexcept { return impl_->network().input_shape(); }
Shape Engine::output_shape() const noexcept { return impl_->network().output_shape(); }

Result<Conditions> Engine::conditions() const {
  return guarded([&] { return impl_->network().conditions(); });
}

Status Engine::preprocess(const ImageView& image, std::size_t index) {
  return guarded([&] { impl_->preprocess(image, index); });
}

Status Engine::compute() {
  return guarded([&] { impl_->network().run(); });
}

Status Engine::postprocess(int height, int width, Mask& mask, std::size_t index) {
  return guarded([&] { impl_->postprocess(height, width, mask, index); });
}

float* Engine::input() noexcept { return impl_->network().input(); }
const float* Engine::output() const noexcept { return impl_->network().output(); }

const char* version() noexcept { return SEGEDGE_VERSION; }

}  // namespace segedge
