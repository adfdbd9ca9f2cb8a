// Steps of the task on raw values, for comparison with Python. Reads requests until the input ends, each a line and bytes:
//   TASK.json
//   prepare HEIGHT WIDTH CHANNELS DTYPE STRIDE BYTES     values  -> float32, one input of the network
//   tiles   HEIGHT WIDTH CHANNELS DTYPE STRIDE BYTES     values  -> float32, every input
//   finish  HEIGHT WIDTH ROWS COLUMNS 0 BYTES            float32 -> labels
//   blend   HEIGHT WIDTH ROWS COLUMNS 0 BYTES            float32, every output -> labels
// and answers each with a line, `ok BYTES` or `error SENTENCE`, and bytes. Steps of one task are used again.
#include <cstring>
#include <iostream>
#include <map>
#include <memory>

#include "failure.hpp"
#include "manifest.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace {

using Values = std::vector<float>;

struct Steps {
  explicit Steps(const std::string& text)
      : task(segedge::read_task(segedge::json::parse(text), "task")), prepare(task), finish(task) {}

  segedge::Task task;
  segedge::Preprocessor prepare;
  segedge::Postprocessor finish;
  segedge::Grid grid;
};

struct Request {
  std::string step;
  int height = 0, width = 0, third = 0, fourth = 0;
  std::ptrdiff_t stride = 0;
  std::size_t size = 0;
};

std::string bytes_of(const void* data, std::size_t size) { return {static_cast<const char*>(data), size}; }

std::string prepared(Steps& steps, const Request& request, const std::vector<char>& bytes) {
  const segedge::ImageView view{bytes.data(),   request.height, request.width,
                                request.third, request.stride, static_cast<segedge::Dtype>(request.fourth)};
  const std::size_t input = static_cast<std::size_t>(steps.task.in_channels() * steps.task.height * steps.task.width);
  Values out(input);
  if (request.step == "prepare") {
    steps.prepare(view, out.data());
  } else {
    steps.prepare.take_whole(view);
    steps.grid.prepare(steps.task, view.height, view.width);
    out.resize(input * steps.grid.size());
    for (std::size_t i = 0; i < steps.grid.size(); ++i) steps.prepare.put_tile(steps.grid.placement(i), out.data() + i * input);
  }
  return bytes_of(out.data(), out.size() * sizeof(float));
}

std::string finished(Steps& steps, const Request& request, const std::vector<char>& bytes) {
  Values output(bytes.size() / sizeof(float));
  std::memcpy(output.data(), bytes.data(), output.size() * sizeof(float));
  const std::size_t pixels = static_cast<std::size_t>(request.height) * static_cast<std::size_t>(request.width);
  std::vector<std::uint8_t> labels(pixels * static_cast<std::size_t>(steps.task.mask_maps()), 99);
  if (request.step == "finish") {
    steps.finish(output.data(), request.third, request.fourth, request.height, request.width, labels.data());
  } else {
    steps.grid.prepare(steps.task, request.height, request.width);
    steps.finish.start(steps.grid, labels.data());
    const std::size_t one = output.size() / steps.grid.size();
    for (std::size_t i = 0; i < steps.grid.size(); ++i) {
      steps.finish.add_tile(output.data() + i * one, request.third, request.fourth);
    }
  }
  return bytes_of(labels.data(), labels.size());
}

}  // namespace

int main() {
  std::map<std::string, std::unique_ptr<Steps>> known;
  std::string text;
  while (std::getline(std::cin, text)) {
    Request request;
    std::cin >> request.step >> request.height >> request.width >> request.third >> request.fourth;
    std::cin >> request.stride >> request.size;
    std::cin.get();
    std::vector<char> bytes(request.size);  // an exact copy, so that the sanitizer sees any byte read beyond the image
    std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    try {
      auto& steps = known[text];
      if (!steps) steps = std::make_unique<Steps>(text);
      const bool before = request.step == "prepare" || request.step == "tiles";
      const std::string answer = before ? prepared(*steps, request, bytes) : finished(*steps, request, bytes);
      std::cout << "ok " << answer.size() << "\n" << answer << std::flush;
    } catch (const std::exception& error) {
      known.erase(text);
      std::cout << "error " << error.what() << "\n" << std::flush;
    }
  }
  return 0;
}
