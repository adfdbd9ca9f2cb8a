// A network that adds its three input channels (or copies its one) into every map, plus the map's index.
#pragma once

#include "failure.hpp"
#include "network.hpp"

namespace fake {

class Sum final : public segedge::Network {
 public:
  Sum(segedge::Shape in, std::size_t maps) : in_(in), out_{in.n, maps, in.h, in.w}, input_(in.size()), output_(out_.size()) {}

  segedge::Shape input_shape() const override { return in_; }
  segedge::Shape output_shape() const override { return out_; }
  float* input() override { return input_.data(); }
  const float* output() const override { return output_.data(); }
  segedge::Conditions conditions() const override { return {{"batch", std::to_string(in_.n)}}; }

  void run() override {
    if (fails) segedge::fail_machine("the fake device is gone");
    const std::size_t plane = in_.h * in_.w;
    for (std::size_t n = 0; n < in_.n; ++n) {
      for (std::size_t m = 0; m < out_.c; ++m) {
        for (std::size_t i = 0; i < plane; ++i) {
          float sum = static_cast<float>(m);
          for (std::size_t c = 0; c < in_.c; ++c) sum += input_[(n * in_.c + c) * plane + i];
          output_[(n * out_.c + m) * plane + i] = sum;
        }
      }
    }
    ++runs;
  }

  bool fails = false;
  int runs = 0;

 private:
  segedge::Shape in_, out_;
  std::vector<float> input_, output_;
};

/// A task whose network sees plain 0..255 values and whose single map is foreground from 128 on.
inline segedge::Task grey_task(int height, int width) {
  segedge::Task task;
  task.height = height;
  task.width = width;
  task.channels = segedge::Channels::grey;
  task.scale = 255.0;
  task.activation = segedge::Activation::none;
  task.threshold = 0.5;
  return task;
}

inline segedge::EngineInfo info(const segedge::Task& task) {
  segedge::EngineInfo made;
  made.folder = "fake";
  made.task = task;
  return made;
}

}  // namespace fake
