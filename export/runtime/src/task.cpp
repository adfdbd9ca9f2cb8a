// A task from its JSON table, with the checks of the toolkit (edge/task/table.py and checks.py).
#include "segedge/task.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "failure.hpp"
#include "manifest.hpp"

namespace segedge {
namespace {

constexpr int largest_side = 1 << 15;
constexpr double unit_scale = 255.0, beyond_unit = 2.0;  // 8-bit levels over the first lie in [0, 1]

template <class Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

constexpr std::array<Choice<Channels>, 3> channel_choices{
    {{"rgb", Channels::rgb}, {"bgr", Channels::bgr}, {"grey", Channels::grey}}};
constexpr std::array<Choice<Resize>, 4> resize_choices{{{"bilinear", Resize::bilinear},
                                                        {"bicubic", Resize::bicubic},
                                                        {"area", Resize::area},
                                                        {"nearest", Resize::nearest}}};
constexpr std::array<Choice<Resize>, 2> upsample_choices{{{"nearest", Resize::nearest}, {"bilinear", Resize::bilinear}}};
constexpr std::array<Choice<Normalize>, 3> normalize_choices{
    {{"fixed", Normalize::fixed}, {"minmax", Normalize::minmax}, {"zscore", Normalize::zscore}}};
constexpr std::array<Choice<Output>, 3> output_choices{
    {{"logits", Output::logits}, {"probabilities", Output::probabilities}, {"labels", Output::labels}}};
constexpr std::array<Choice<Activation>, 3> activation_choices{
    {{"sigmoid", Activation::sigmoid}, {"softmax", Activation::softmax}, {"none", Activation::none}}};
constexpr std::array<Choice<Fit>, 4> fit_choices{
    {{"stretch", Fit::stretch}, {"letterbox", Fit::letterbox}, {"crop", Fit::crop}, {"tile", Fit::tile}}};
constexpr std::array<Choice<Blend>, 2> blend_choices{{{"gaussian", Blend::gaussian}, {"mean", Blend::mean}}};
constexpr std::array<Choice<Scope>, 3> scope_choices{
    {{"image", Scope::image}, {"volume", Scope::volume}, {"set", Scope::set}}};
constexpr std::array<Choice<bool>, 2> label_choices{{{"exclusive", false}, {"overlapping", true}}};

// `ignore` and `mask_values` are about mask files, which this library does not read.
constexpr std::array<std::string_view, 21> task_keys{
    "size",   "channels",  "resize",     "normalize",   "scale",     "mean",       "std",
    "classes", "output",   "activation", "output_name", "threshold", "fit",        "pad_value",
    "tile",   "labels",    "thresholds", "ignore",      "mask_values", "upsample", "intensity"};
constexpr std::array<std::string_view, 6> intensity_keys{"window",  "range", "percentile",
                                                         "nonzero", "scope", "learned"};

void require(bool holds, const std::string& otherwise) {
  if (!holds) fail_input("task: " + otherwise);
}

template <std::size_t N>
void require_known(const json::Value& table, const std::array<std::string_view, N>& keys) {
  for (const auto& [key, value] : table.object()) {
    require(std::find(keys.begin(), keys.end(), key) != keys.end(), "unknown key '" + key + "'");
  }
}

template <class Enum, std::size_t N>
void choose(const json::Value& table, std::string_view key, const std::array<Choice<Enum>, N>& choices, Enum& into) {
  const json::Value* value = table.find(key);
  if (value == nullptr) return;
  for (const auto& choice : choices) {
    if (choice.name == value->string()) {
      into = choice.value;
      return;
    }
  }
  fail_input("task: " + std::string(key) + " = '" + value->string() + "' is not known; correct the task");
}

void read_number(const json::Value& table, std::string_view key, double& into) {
  if (const json::Value* value = table.find(key)) into = value->number();
}

void read_numbers(const json::Value& table, std::string_view key, std::vector<double>& into) {
  const json::Value* value = table.find(key);
  if (value == nullptr) return;
  into.clear();
  for (const json::Value& item : value->array()) into.push_back(item.number());
}

Pair pair_of(const json::Value& value, const char* key) {
  const json::Array& both = value.array();
  require(both.size() == 2, std::string(key) + " must be two numbers; correct the task");
  const Pair pair{both[0].number(), both[1].number()};
  require(std::isfinite(pair.first) && std::isfinite(pair.second), std::string(key) + " must be finite; correct the task");
  return pair;
}

void read_pairs(const json::Value& table, const char* key, std::vector<Pair>& into) {
  if (const json::Value* pairs = table.find(key)) {
    for (const json::Value& item : pairs->array()) into.push_back(pair_of(item, key));
  }
}

void read_channels(const json::Value& table, Task& task) {
  const json::Value* channels = table.find("channels");
  if (channels == nullptr || channels->is_string()) return choose(table, "channels", channel_choices, task.channels);
  task.channels = Channels::named;
  task.named = static_cast<int>(channels->array().size());
  for (const json::Value& name : channels->array()) {
    if (!name.is_string()) task.picks.push_back(name.integer());
  }
  require(task.named > 0, "channels is an empty list; correct the task");
  require(task.picks.empty() || static_cast<int>(task.picks.size()) == task.named, "channels mixes names and numbers");
  require(task.picks.empty() || *std::min_element(task.picks.begin(), task.picks.end()) >= 0, "channels count from 0");
}

Intensity read_intensity(const json::Value& table) {
  require_known(table, intensity_keys);
  Intensity intensity;
  int given = 0;
  if (const json::Value* window = table.find("window")) {
    const double centre = window->at("center").number(), width = window->at("width").number();
    intensity.limits = Pair{centre - width / 2.0, centre + width / 2.0};
    ++given;
  }
  if (const json::Value* range = table.find("range")) {
    intensity.limits = pair_of(*range, "range");
    ++given;
  }
  if (const json::Value* percentile = table.find("percentile")) {
    intensity.percentile = pair_of(*percentile, "percentile");
    require(0.0 <= intensity.percentile->first && intensity.percentile->first < intensity.percentile->second &&
                intensity.percentile->second <= 100.0,
            "percentile must be [low, high] from 0 to 100; correct the task");
    ++given;
  }
  require(given <= 1, "intensity has more than one of window, range and percentile; keep one");
  require(!intensity.limits || intensity.limits->first < intensity.limits->second,
          "the intensity's low must be below its high; correct the task");
  if (const json::Value* nonzero = table.find("nonzero")) intensity.nonzero = nonzero->boolean();
  choose(table, "scope", scope_choices, intensity.scope);
  if (const json::Value* learned = table.find("learned")) {
    read_pairs(*learned, "levels", intensity.levels);
    read_pairs(*learned, "spread", intensity.spread);
  }
  return intensity;
}

void require_intensity(const Task& task) {
  if (!task.intensity) return;
  const Intensity& intensity = *task.intensity;
  const bool spreads = task.normalize != Normalize::fixed, takes = spreads || intensity.percentile.has_value();
  const std::size_t groups = task.channels == Channels::named ? static_cast<std::size_t>(task.named) : 1;
  if (!takes) return;
  require(intensity.scope != Scope::volume,
          "its intensity is taken from whole volumes, which this library does not read; use scope = \"set\", or the "
          "Python toolkit");
  require(intensity.scope != Scope::set || (intensity.levels.size() == (intensity.percentile ? groups : 0) &&
                                            intensity.spread.size() == (spreads ? groups : 0)),
          "its intensity is learned from a set, and no calibration has done so; deploy the model");
}

/// A scale, a mean and a deviation are of the values in front of them, as edge/task/checks.py has it.
void require_figures(const Task& task) {
  const auto all = [](const std::vector<double>& values, double wanted) {
    return std::all_of(values.begin(), values.end(), [=](double v) { return v == wanted; });
  };
  if (task.normalize != Normalize::fixed) {
    require(all(task.mean, 0.0) && all(task.std, 1.0),
            "mean and std are not used by normalize = \"minmax\" or \"zscore\"; leave them out and deploy the model again");
    return;
  }
  const bool to_unit = task.intensity && (task.intensity->limits || task.intensity->percentile);
  require(!to_unit || task.scale < unit_scale,
          "scale divides values that [task.intensity] brings to [0, 1] before it; set scale = 1 and deploy the model again");
  const double mean = *std::min_element(task.mean.begin(), task.mean.end());
  const double deviation = *std::min_element(task.std.begin(), task.std.end());
  require(!to_unit || task.scale < 1.0 || mean <= beyond_unit,
          "mean and std are of the image's own values, which [task.intensity] brings to [0, 1] before them; give those of "
          "[0, 1] and deploy the model again");
  require(task.intensity || task.scale < unit_scale || mean <= beyond_unit || deviation <= beyond_unit,
          "mean and std are of grey levels, which scale brings to [0, 1] before them; set scale = 1 and deploy the model "
          "again");
}

/// What padding holds is a grey level where the task's pixels are.
void require_level(const Task& task) {
  if (!task.in_levels() || task.fit == Fit::stretch) return;
  const bool stretches = task.normalize == Normalize::minmax;
  const double level = std::floor(task.pad_value * task.scale + 0.5);
  require(stretches ? 0.0 <= task.pad_value && task.pad_value <= 1.0 : 0.0 <= level && level <= 255.0,
          "pad_value is no grey level (it counts before mean and std, after scale or minmax); give one that is");
}

void require_sound(const Task& task) {
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  const auto channels = static_cast<std::size_t>(task.in_channels());
  require(std::min(task.height, task.width) >= 1 && std::max(task.height, task.width) <= largest_side,
          "size must be [height, width] in pixels; correct the task");
  require(task.mean.size() == 1 || task.mean.size() == channels, "mean needs one value or one a channel");
  require(task.std.size() == 1 || task.std.size() == channels, "std needs one value or one a channel");
  require(finite(task.mean) && finite(task.std) && std::isfinite(task.scale) && std::isfinite(task.pad_value),
          "mean, std, scale and pad_value must be finite");
  require(task.scale != 0.0 && std::find(task.std.begin(), task.std.end(), 0.0) == task.std.end(),
          "scale and std must not be 0; correct the task");
  require_figures(task);
  require_level(task);
  require(!task.classes.empty(), "classes is empty; name at least the foreground class");
  require(task.classes.size() <= 256, "more than 256 classes do not fit a mask of bytes");
  const bool one_wins = !task.overlapping && task.output != Output::labels;
  require(!one_wins || task.activation != Activation::sigmoid || task.classes.size() == 1,
          "sigmoid has one foreground map, but several classes are named; use softmax");
  require(!one_wins || task.activation != Activation::softmax || task.classes.size() > 1,
          "softmax over one class is always 1; name the background class as well");
  require(!task.overlapping || task.activation != Activation::softmax, "overlapping labels have a sigmoid each");
  require(task.output != Output::labels || (!task.overlapping && task.fit != Fit::tile),
          "class indices neither overlap nor blend; correct the task");
  require(task.threshold > 0.0 && task.threshold < 1.0, "threshold must lie between 0 and 1; correct the task");
  require(task.thresholds.size() <= 1 || task.thresholds.size() == task.classes.size(), "thresholds needs one, or one a class");
  require(std::all_of(task.thresholds.begin(), task.thresholds.end(), [](double v) { return v > 0.0 && v < 1.0; }),
          "thresholds must lie between 0 and 1; correct the task");
  require(task.overlap >= 0.0 && task.overlap < 1.0, "overlap must be a share of a tile, from 0 to below 1");
  require_intensity(task);
}

float cut_at(const Task& task, int maps, double threshold) {
  if (task.activation == Activation::none) return static_cast<float>(threshold);
  if (task.output == Output::logits) return static_cast<float>(std::log(threshold / (1.0 - threshold)));
  return static_cast<float>(maps == 1 ? threshold : 2.0 * threshold - 1.0);
}

}  // namespace

float Task::cut() const { return cut_at(*this, maps(), threshold); }

float Task::cut_of(int map) const {
  if (thresholds.empty()) return cut_at(*this, 1, threshold);
  return cut_at(*this, 1, thresholds.size() == 1 ? thresholds[0] : thresholds[static_cast<std::size_t>(map)]);
}

Task read_task(const json::Value& table, const std::string& where) {
  return within(where, [&] {
    require_known(table, task_keys);
    Task task;
    const json::Array& size = table.at("size").array();
    require(size.size() == 2, "size must be [height, width] in pixels; correct the task");
    task.height = size[0].integer();
    task.width = size[1].integer();
    read_channels(table, task);
    choose(table, "resize", resize_choices, task.resize);
    choose(table, "normalize", normalize_choices, task.normalize);
    choose(table, "output", output_choices, task.output);
    choose(table, "activation", activation_choices, task.activation);
    choose(table, "fit", fit_choices, task.fit);
    choose(table, "labels", label_choices, task.overlapping);
    choose(table, "upsample", upsample_choices, task.upsample);
    read_number(table, "scale", task.scale);
    read_number(table, "threshold", task.threshold);
    read_number(table, "pad_value", task.pad_value);
    read_numbers(table, "mean", task.mean);
    read_numbers(table, "std", task.std);
    read_numbers(table, "thresholds", task.thresholds);
    if (const json::Value* tile = table.find("tile")) {
      read_number(*tile, "overlap", task.overlap);
      choose(*tile, "blend", blend_choices, task.blend);
    }
    if (const json::Value* classes = table.find("classes")) {
      task.classes.clear();
      for (const json::Value& name : classes->array()) task.classes.push_back(name.string());
    }
    if (const json::Value* name = table.find("output_name"); name != nullptr && !name->is_null()) {
      task.output_name = name->string();
    }
    if (const json::Value* intensity = table.find("intensity")) task.intensity = read_intensity(*intensity);
    require_sound(task);
    return task;
  });
}

}  // namespace segedge
