// Steps of the task's specification against values worked out by hand. The comparison with Pillow is in Python's tests.
#include <cmath>
#include <cstdint>
#include <limits>

#include "check.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

using segedge::Axis;
using segedge::Resize;
using segedge::Task;

namespace {

Task sized(int height, int width) {
  Task task;
  task.height = height;
  task.width = width;
  return task;
}

std::vector<int> decided(const Task& task, const std::vector<float>& output, int height, int width) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(height * width));
  segedge::Postprocessor post(task);
  post(output.data(), task.height, task.width, height, width, labels.data());
  return {labels.begin(), labels.end()};
}

}  // namespace

CASE(pixels, weights_sum_to_one) {
  Axis axis;
  for (const Resize kernel : {Resize::bilinear, Resize::bicubic, Resize::area}) {
    for (const int in : {1, 2, 7, 256, 1000}) {
      for (const int out : {1, 3, 256, 300}) {
        axis.prepare(in, out, kernel);
        for (int i = 0; i < out; ++i) {
          long sum = 0;
          for (int k = 0; k < axis.counts()[i]; ++k) sum += axis.weights(i)[k];
          CHECK(std::abs(sum - (1L << 22)) <= axis.counts()[i]);
          CHECK(axis.firsts()[i] >= 0 && axis.firsts()[i] + axis.counts()[i] <= in);
        }
      }
    }
  }
}

CASE(pixels, halving_with_the_triangle) {
  Axis axis;
  axis.prepare(8, 4, Resize::bilinear);  // taps 1 3 3 1 over 8
  CHECK_EQUAL(axis.counts()[1], 4);
  CHECK_EQUAL(axis.weights(1)[0], (1 << 22) / 8);
  CHECK_EQUAL(axis.weights(1)[1], (1 << 22) / 8 * 3);
}

CASE(pixels, nearest_is_exact) {
  std::vector<int> indices;
  segedge::nearest_indices(2, 7, indices);
  CHECK(indices == (std::vector<int>{0, 0, 0, 1, 1, 1, 1}));
  segedge::nearest_indices(5, 2, indices);
  CHECK(indices == (std::vector<int>{1, 3}));
}

CASE(pixels, channels_and_tables) {
  Task task = sized(1, 1);
  task.mean = {0.0, 0.5, 1.0};
  const std::uint8_t pixel[3] = {255, 51, 0};
  float out[3];
  segedge::Preprocessor rgb(task);
  rgb({pixel, 1, 1, 3}, out);
  CHECK_EQUAL(out[0], 1.0F);
  CHECK_EQUAL(out[1], static_cast<float>(51 / 255.0 - 0.5));
  CHECK_EQUAL(out[2], -1.0F);
  task.channels = segedge::Channels::bgr;
  segedge::Preprocessor bgr(task);
  bgr({pixel, 1, 1, 3}, out);
  CHECK_EQUAL(out[0], 0.0F);
  CHECK_EQUAL(out[2], 0.0F);
  task.channels = segedge::Channels::grey;
  task.mean = {0.0};
  segedge::Preprocessor grey(task);
  grey({pixel, 1, 1, 3}, out);
  CHECK_EQUAL(out[0], static_cast<float>(((19595 * 255 + 38470 * 51 + 32768) >> 16) / 255.0));
}

CASE(pixels, minmax_stretches_each_image) {
  Task task = sized(1, 3);
  task.channels = segedge::Channels::grey;
  task.normalize = segedge::Normalize::minmax;
  segedge::Preprocessor prepare(task);
  const std::uint8_t first[3] = {10, 60, 110}, flat[3] = {7, 7, 7};
  float out[3];
  prepare({first, 1, 3, 1}, out);
  CHECK_EQUAL(out[0], 0.0F);
  CHECK_EQUAL(out[1], static_cast<float>(50 / (100 + 1e-6)));
  prepare({flat, 1, 3, 1}, out);
  CHECK_EQUAL(out[2], 0.0F);
}

CASE(pixels, the_cut_is_on_the_logit) {
  Task task = sized(1, 3);
  CHECK_EQUAL(task.cut(), 0.0F);
  CHECK(decided(task, {-0.1F, 0.0F, std::nanf("")}, 1, 3) == (std::vector<int>{0, 1, 0}));
  task.threshold = 0.9;
  CHECK_EQUAL(task.cut(), static_cast<float>(std::log(0.9 / (1.0 - 0.9))));
  task.output = segedge::Output::probabilities;
  CHECK(decided(task, {0.89F, 0.9F, 1.0F}, 1, 3) == (std::vector<int>{0, 1, 1}));
  task.classes = {"background", "polyp"};
  task.activation = segedge::Activation::softmax;
  CHECK_EQUAL(task.cut(), static_cast<float>(2.0 * 0.9 - 1.0));
  CHECK(decided(task, {0.05F, 0.2F, 0.5F, 0.95F, 0.8F, 0.5F}, 1, 3) == (std::vector<int>{1, 0, 0}));
}

CASE(pixels, largest_map_wins_and_ties_go_low) {
  Task task = sized(1, 4);
  task.classes = {"background", "a", "b"};
  task.activation = segedge::Activation::softmax;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> output{1, 0, 5, nan, 1, 2, 5, 0, 0, 2, 6, 9};
  CHECK(decided(task, output, 1, 4) == (std::vector<int>{0, 1, 2, 0}));
}

CASE(pixels, masks_return_by_nearest) {
  const Task task = sized(2, 2);
  CHECK(decided(task, {1, -1, -1, 1}, 4, 3) == (std::vector<int>{1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1}));
}
