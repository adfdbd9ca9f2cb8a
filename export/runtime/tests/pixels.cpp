// Steps of the task on raw files, for comparison with Python:
//   segedge-pixels prepare TASK.json HEIGHT WIDTH CHANNELS < bytes > float32
//   segedge-pixels finish TASK.json HEIGHT WIDTH < float32 > labels
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>

#include "failure.hpp"
#include "manifest.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace {

std::string standard_input() { return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()}; }

void put(const void* data, std::size_t size) { std::cout.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)); }

}  // namespace

int main(int count, char** words) {
  try {
    if (count < 5) return 2;
    const segedge::Task task = segedge::read_task(segedge::json::parse(segedge::read_text(words[2])), words[2]);
    const int height = std::atoi(words[3]), width = std::atoi(words[4]);
    const std::string bytes = standard_input();
    if (std::strcmp(words[1], "prepare") == 0) {
      // An exact copy, so that the sanitizer sees any byte read beyond the image.
      const std::vector<std::uint8_t> pixels(bytes.begin(), bytes.end());
      std::vector<float> out(static_cast<std::size_t>(task.in_channels() * task.height * task.width));
      segedge::Preprocessor prepare(task);
      prepare({pixels.data(), height, width, count > 5 ? std::atoi(words[5]) : 3, 0}, out.data());
      put(out.data(), out.size() * sizeof(float));
    } else {
      std::vector<float> output(bytes.size() / sizeof(float));
      std::memcpy(output.data(), bytes.data(), output.size() * sizeof(float));
      std::vector<std::uint8_t> labels(static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
      segedge::Postprocessor finish(task);
      finish(output.data(), task.height, task.width, height, width, labels.data());
      put(labels.data(), labels.size());
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
