// What the network sees and what its output means: the [task] of the model, as it rides in engine.json.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace segedge {

enum class Channels { rgb, bgr, grey, named };
enum class Resize { bilinear, bicubic, area, nearest };
enum class Normalize { fixed, minmax, zscore };
enum class Output { logits, probabilities, labels };
enum class Activation { sigmoid, softmax, none };
enum class Fit { stretch, letterbox, crop, tile };
enum class Blend { gaussian, mean };
enum class Scope { image, volume, set };

/// Low and high, or mean and deviation.
using Pair = std::pair<double, double>;

/// How values that are not 8-bit levels are read.
struct Intensity {
  std::optional<Pair> limits;      ///< the low and high that become 0 and 1
  std::optional<Pair> percentile;  ///< or the percentiles that do
  bool nonzero = false;            ///< figures are taken of non-zero pixels only
  Scope scope = Scope::image;
  std::vector<Pair> levels;  ///< with Scope::set: what calibration learned, one pair, or one for each channel
  std::vector<Pair> spread;
};

struct Task {
  int height = 0;
  int width = 0;
  Channels channels = Channels::rgb;
  int named = 0;           ///< how many channels are named
  std::vector<int> picks;  ///< or the numbers of the channels that are picked
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
  Fit fit = Fit::stretch;
  double pad_value = 0.0;
  double overlap = 0.25;
  Blend blend = Blend::gaussian;
  bool overlapping = false;
  std::vector<double> thresholds;  ///< where labels overlap: one, or one per class; empty: `threshold`
  Resize upsample = Resize::bilinear;  ///< of an output smaller than the input
  std::optional<Intensity> intensity;

  int in_channels() const noexcept {
    return channels == Channels::named ? named : channels == Channels::grey ? 1 : 3;
  }
  /// Maps that the network returns.
  int maps() const noexcept { return output == Output::labels ? 1 : static_cast<int>(classes.size()); }
  /// Maps of a mask: one of class indices, or one for each class where labels overlap.
  int mask_maps() const noexcept { return overlapping ? static_cast<int>(classes.size()) : 1; }
  /// Whether it knows 8-bit levels only.
  bool eight_bit() const noexcept { return !intensity && normalize != Normalize::zscore; }
  /// Whether pixels stay 8-bit integers up to the table. The extremes of a tiled image are no tile's.
  bool in_levels() const noexcept { return eight_bit() && !(fit == Fit::tile && normalize == Normalize::minmax); }
  /// The float32 value that a map, or the difference of two softmax maps, must reach to be foreground.
  float cut() const;
  /// The same for one of several overlapping maps.
  float cut_of(int map) const;
};

}  // namespace segedge
