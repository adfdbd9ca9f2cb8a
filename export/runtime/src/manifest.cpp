#include "manifest.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "failure.hpp"
#include "sha256.hpp"

namespace segedge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view schema = "edge.engine/1";
constexpr int largest_side = 1 << 15;

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
constexpr std::array<Choice<Normalize>, 2> normalize_choices{{{"fixed", Normalize::fixed}, {"minmax", Normalize::minmax}}};
constexpr std::array<Choice<Output>, 2> output_choices{
    {{"logits", Output::logits}, {"probabilities", Output::probabilities}}};
constexpr std::array<Choice<Activation>, 3> activation_choices{
    {{"sigmoid", Activation::sigmoid}, {"softmax", Activation::softmax}, {"none", Activation::none}}};

constexpr std::array<std::string_view, 12> task_keys{"size",    "channels", "resize", "normalize",  "scale",       "mean",
                                                     "std",     "classes",  "output", "activation", "output_name", "threshold"};

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

void read_numbers(const json::Value& table, std::string_view key, std::vector<double>& into) {
  const json::Value* value = table.find(key);
  if (value == nullptr) return;
  into.clear();
  for (const json::Value& item : value->array()) into.push_back(item.number());
}

void require(bool holds, const std::string& otherwise) {
  if (!holds) fail_input("task: " + otherwise);
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
  require(finite(task.mean) && finite(task.std) && std::isfinite(task.scale), "mean, std and scale must be finite");
  require(task.scale != 0.0 && std::find(task.std.begin(), task.std.end(), 0.0) == task.std.end(),
          "scale and std must not be 0; correct the task");
  require(!task.classes.empty(), "classes is empty; name at least the foreground class");
  require(task.classes.size() <= 256, "more than 256 classes do not fit a mask of bytes");
  require(task.activation != Activation::sigmoid || task.classes.size() == 1,
          "sigmoid has one foreground map, but several classes are named; use softmax");
  require(task.activation != Activation::softmax || task.classes.size() > 1,
          "softmax over one class is always 1; name the background class as well");
  require(task.threshold > 0.0 && task.threshold < 1.0, "threshold must lie between 0 and 1; correct the task");
}

/// Runs `body`, putting `where` in front of what it says failed.
template <class Body>
auto within(const std::string& where, Body&& body) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw Failure(failure.fault(), where + ": " + failure.what());
  }
}

std::string text_or_empty(const json::Value& table, std::string_view key) {
  const json::Value* value = table.find(key);
  return value != nullptr && value->is_string() ? value->string() : std::string();
}

/// The document says its own hash, taken with the hash's digits as zeros (edge/binding.py).
void require_bound(const std::string& path, const std::string& text, const json::Value& table) {
  if (table.find("binding") == nullptr) {
    fail_input(path + ": is bound by no hash, as older versions wrote it; build the engine again");
  }
  constexpr std::string_view field = "\"binding\": \"";
  constexpr std::size_t digits = 64;
  const std::size_t at = text.find(field);
  bool is_bound = at != std::string::npos && text.find(field, at + 1) == std::string::npos;
  if (is_bound) {
    const std::string said = text.substr(at + field.size(), digits);
    std::string blank = text;
    blank.replace(at + field.size(), said.size(), std::string(said.size(), '0'));
    Sha256 hash;
    hash.update(blank.data(), blank.size());
    is_bound = said.size() == digits && hash.hex() == said;
  }
  if (!is_bound) fail_input(path + ": was changed since it was built; build the engine again");
}

void require_artefacts(const std::string& folder, const EngineInfo& info, const json::Value& hashes) {
  const std::string manifest = (fs::path(folder) / "engine.json").string();
  std::vector<std::string> needed{info.artefact};
  constexpr std::string_view graph = ".xml";
  if (info.artefact.size() > graph.size() && info.artefact.compare(info.artefact.size() - graph.size(), graph.size(), graph) == 0) {
    needed.push_back(info.artefact.substr(0, info.artefact.size() - graph.size()) + ".bin");  // its weights
  }
  for (const std::string& name : needed) {
    if (hashes.find(name) == nullptr) {
      fail_input(manifest + ": no hash for its artefact '" + name + "'; build the engine again");
    }
  }
  for (const auto& [name, digest] : within(manifest, [&] { return hashes.object(); })) {
    const fs::path path = fs::path(folder) / name;
    std::error_code ignored;
    if (name.empty() || fs::path(name).filename() != name || !fs::is_regular_file(path, ignored) ||
        !digest.is_string() || sha256_file(path.string()) != digest.string()) {
      fail_input(path.string() + ": is missing or was changed since it was built; build the engine again");
    }
  }
}

void require_architecture(const std::string& folder, const json::Value& table) {
  const json::Value* runs_on = table.find("runs_on");
  const std::string wanted = runs_on == nullptr ? "" : text_or_empty(*runs_on, "architecture");
  utsname machine{};
  if (wanted.empty() || uname(&machine) != 0 || wanted == machine.machine) return;
  fail_machine(folder + ": was built for " + wanted + ", this machine is " + machine.machine +
               "; build the engine on a machine of its kind");
}

}  // namespace

float Task::cut() const {
  if (activation == Activation::none) return static_cast<float>(threshold);
  if (output == Output::logits) return static_cast<float>(std::log(threshold / (1.0 - threshold)));
  return static_cast<float>(maps() == 1 ? threshold : 2.0 * threshold - 1.0);
}

Task read_task(const json::Value& table, const std::string& where) {
  return within(where, [&] {
    for (const auto& [key, value] : table.object()) {
      require(std::find(task_keys.begin(), task_keys.end(), key) != task_keys.end(), "unknown key '" + key + "'");
    }
    Task task;
    const json::Array& size = table.at("size").array();
    require(size.size() == 2, "size must be [height, width] in pixels; correct the task");
    task.height = size[0].integer();
    task.width = size[1].integer();
    choose(table, "channels", channel_choices, task.channels);
    choose(table, "resize", resize_choices, task.resize);
    choose(table, "normalize", normalize_choices, task.normalize);
    choose(table, "output", output_choices, task.output);
    choose(table, "activation", activation_choices, task.activation);
    if (const json::Value* scale = table.find("scale")) task.scale = scale->number();
    if (const json::Value* threshold = table.find("threshold")) task.threshold = threshold->number();
    read_numbers(table, "mean", task.mean);
    read_numbers(table, "std", task.std);
    if (const json::Value* classes = table.find("classes")) {
      task.classes.clear();
      for (const json::Value& name : classes->array()) task.classes.push_back(name.string());
    }
    if (const json::Value* name = table.find("output_name"); name != nullptr && !name->is_null()) {
      task.output_name = name->string();
    }
    require_sound(task);
    return task;
  });
}

void require_regular(const std::string& path, const std::string& what) {
  std::error_code fault;
  const fs::file_status status = fs::status(path, fault);
  const auto refuse = [&](const char* kind) { fail_input(path + ": " + kind + "; give a plain file"); };
  switch (status.type()) {
    case fs::file_type::regular: return;
    case fs::file_type::directory: refuse("is a folder"); break;
    case fs::file_type::fifo: refuse("is a pipe"); break;
    case fs::file_type::socket: refuse("is a socket"); break;
    case fs::file_type::block:
    case fs::file_type::character: refuse("is a device"); break;
    case fs::file_type::not_found: fail_input(path + ": no such " + what + "; check the path");
    default: fail_machine(path + ": cannot be read (" + fault.message() + "); check its permissions");
  }
}

std::string read_text(const std::string& path) {
  require_regular(path, "file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail_machine(path + ": cannot be read; check its permissions");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void require_release(const EngineInfo& info, const std::string& package, const std::string& installed) {
  const auto release = [](const std::string& version) { return version.substr(0, version.find_first_of("-+")); };
  for (const auto& [name, version] : info.versions) {
    if (name != package || release(version) == release(installed)) continue;
    fail_machine(info.folder + ": was built and proven with " + package + " " + release(version) + ", this machine has " +
                 release(installed) + ", which may give other masks; build it again here, or install that version");
  }
}

EngineInfo read_manifest(const std::string& folder) {
  const std::string path = (fs::path(folder) / "engine.json").string();
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    fail_input(folder + ": is not an engine folder (no engine.json); build one with edge build");
  }
  const std::string text = read_text(path);
  const json::Value table = within(path, [&] { return json::parse(text); });
  EngineInfo info;
  info.folder = folder;
  within(path, [&] {
    if (text_or_empty(table, "schema") != schema) {
      fail_input("is not of schema " + std::string(schema) + "; build the engine again with this version");
    }
    return true;
  });
  require_bound(path, text, table);
  within(path, [&] {
    info.name = table.at("name").string();
    info.precision = table.at("precision").string();
    info.rest = table.at("rest").string();
    info.backend = table.at("backend").string();
    info.target = table.at("target").string();
    info.artefact = table.at("artefact").string();
    if (const json::Value* versions = table.find("versions")) {
      for (const auto& [package, version] : versions->object()) info.versions.emplace_back(package, version.string());
    }
    return true;
  });
  info.task = read_task(within(path, [&] { return table.at("task"); }), path);
  require_artefacts(folder, info, within(path, [&] { return table.at("artefact_sha256"); }));
  require_architecture(folder, table);
  return info;
}

}  // namespace segedge
