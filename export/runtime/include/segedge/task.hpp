// What the network sees and what its output means: the [task] of the model, as it rides in engine.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace segedge {

enum class Channels { rgb, bgr, grey };
enum class Resize { bilinear, bicubic, area, nearest };
enum class Normalize { fixed, minmax };
enum class Output { logits, probabilities };
enum class Activation { sigmoid, softmax, none };

struct Task {
  int height = 0;
  int width = 0;
  Channels channels = Channels::rgb;
  Resize resize = Resize::bilinear;
  Normalize normalize = Normalize::fixed;
  double scale = 255.0;
  std::vector<double> mean{0.0};  ///< one value, or one per channel
  std::vector<double> std{1.0};
  std::vector<std::string> classes{"foreground"};
  Output output = Output::logits;
  Activation activation = Activation::sigmoid;
  std::optional<std::string> output_name;
  double threshold = 0.5;

  int in_channels() const noexcept { return channels == Channels::grey ? 1 : 3; }
  int maps() const noexcept { return static_cast<int>(classes.size()); }
  /// The float32 value that a map, or the difference of two softmax maps, must reach to be foreground.
  float cut() const;
};

}  // namespace segedge
