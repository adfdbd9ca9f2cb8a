// OpenVINO on the CPU, through its C interface: no exceptions and no C++ ABI to agree on.
//
// Settings are those of the toolkit's own runner. Two defaults are never left alone: the precision hint (bf16 on CPUs
// that have it, so that an fp32 engine would silently run in bf16) and the number of threads.
#include <openvino/c/openvino.h>

#include <array>
#include <filesystem>
#include <string>

#include "cores.hpp"
#include "failure.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "network.hpp"

namespace segedge {
namespace {

constexpr const char* device = "CPU";

struct Hint {
  const char* rest;        // our word
  const char* hint;        // OpenVINO's
  const char* capability;  // what the CPU must list for it to be more than a word
};

constexpr std::array<Hint, 3> hints{{{"fp32", "f32", "FP32"}, {"bf16", "bf16", "BF16"}, {"fp16", "f16", "FP16"}}};

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* object) const { release(object); }
};

template <class T, void (*release)(T*)>
using Owned = std::unique_ptr<T, Release<T, release>>;

using Core = Owned<ov_core_t, ov_core_free>;
using Model = Owned<ov_model_t, ov_model_free>;
using Compiled = Owned<ov_compiled_model_t, ov_compiled_model_free>;
using Request = Owned<ov_infer_request_t, ov_infer_request_free>;
using Tensor = Owned<ov_tensor_t, ov_tensor_free>;
using Port = Owned<ov_output_const_port_t, ov_output_const_port_free>;

/// The last line of OpenVINO's message, the one that says what is wrong.
std::string last_reason(ov_status_e status) {
  const char* text = ov_get_last_err_msg();
  std::string message = text != nullptr ? text : "";
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  const std::size_t line = message.find_last_of('\n');
  if (line != std::string::npos) message.erase(0, line + 1);
  return message.empty() ? ov_get_error_info(status) : message;
}

/// Whether a message says that memory or the disk gave out, not that the graph is wrong (edge/errors.py has the same).
bool blames_machine(const std::string& message) {
  for (const char* sign : {"basic_ios::clear", "iostream error", "No space left", "bad_alloc", "ut of memory", "annot allocate"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

/// Calls `function` with a place for what it makes.
template <class T, void (*release)(T*), class Function>
Owned<T, release> made(const std::string& where, Function&& function) {
  T* object = nullptr;
  const ov_status_e status = function(&object);
  Owned<T, release> owned(object);
  if (status != ov_status_e::OK) {
    const std::string reason = last_reason(status);
    if (blames_machine(reason)) fail_machine(where + ": this machine ran out of memory or disk (" + reason + "); free some");
    fail_input(where + ": OpenVINO refuses it (" + reason + "); build the engine again");
  }
  return owned;
}

std::string version() {
  ov_version_t found{};
  if (ov_get_openvino_version(&found) != ov_status_e::OK) fail_machine("OpenVINO names no version; install openvino again");
  const std::string text = found.buildNumber;
  ov_version_free(&found);
  return text;
}

const Hint& hint_of(const EngineInfo& info) {
  for (const Hint& hint : hints) {
    if (info.rest == hint.rest) return hint;
  }
  fail_input(info.folder + "/engine.json: rest '" + info.rest + "' is not fp32, bf16 or fp16; build the engine again");
}

void require_capability(const ov_core_t* core, const EngineInfo& info, const std::string& wanted) {
  char* text = nullptr;
  if (ov_core_get_property(core, device, "OPTIMIZATION_CAPABILITIES", &text) != ov_status_e::OK || text == nullptr) {
    fail_machine("OpenVINO finds no CPU plugin; install openvino again");
  }
  std::string listed = std::string(" ") + text + " ";
  ov_free(text);
  for (char& c : listed) c = c == ',' ? ' ' : c;
  if (listed.find(" " + wanted + " ") == std::string::npos) {
    fail_machine(info.folder + ": this CPU has no " + wanted + " arithmetic; build the engine for fp32 instead");
  }
}

Shape shape_of(const std::string& where, const char* kind, const ov_output_const_port_t* port) {
  ov_element_type_e type{};
  ov_shape_t dims{};
  if (ov_port_get_element_type(port, &type) != ov_status_e::OK || type != ov_element_type_e::F32) {
    fail_input(where + ": its " + kind + " is not float32; build the engine again");
  }
  if (ov_const_port_get_shape(port, &dims) != ov_status_e::OK) {
    fail_input(where + ": its " + kind + " has no fixed size; build the engine again");
  }
  const auto extent = [&dims](int axis) { return static_cast<std::size_t>(dims.dims[axis]); };
  const Shape shape = dims.rank == 4 ? Shape{extent(0), extent(1), extent(2), extent(3)} : Shape{};
  ov_shape_free(&dims);
  if (shape.size() == 0) fail_input(where + ": its " + kind + " is not [n, channels, height, width]; build the engine again");
  return shape;
}

class OpenVino final : public Network {
 public:
  OpenVino(const EngineInfo& info, const Options& options)
      : where_((std::filesystem::path(info.folder) / info.artefact).string()) {
    core_ = made<ov_core_t, ov_core_free>("OpenVINO", [](auto** core) { return ov_core_create(core); });
    require_release(info, "openvino", version());
    const Hint& hint = hint_of(info);
    require_capability(core_.get(), info, hint.capability);
    const std::string threads = std::to_string(options.threads > 0 ? options.threads : physical_cores());
    const Model model = made<ov_model_t, ov_model_free>(
        where_, [&](auto** read) { return ov_core_read_model(core_.get(), where_.c_str(), nullptr, read); });
    compiled_ = made<ov_compiled_model_t, ov_compiled_model_free>(where_, [&](auto** compiled) {
      return ov_core_compile_model(core_.get(), model.get(), device, 10, compiled, "INFERENCE_PRECISION_HINT", hint.hint,
                                   "PERFORMANCE_HINT", "LATENCY", "NUM_STREAMS", "1", "INFERENCE_NUM_THREADS",
                                   threads.c_str(), "PERF_COUNT", "NO");
    });
    request_ = made<ov_infer_request_t, ov_infer_request_free>(
        where_, [&](auto** request) { return ov_compiled_model_create_infer_request(compiled_.get(), request); });
    bind(info.task.output_name);
  }

  Shape input_shape() const override { return input_shape_; }
  Shape output_shape() const override { return output_shape_; }
  float* input() override { return input_; }
  const float* output() const override { return output_; }

  void run() override {
    const ov_status_e status = ov_infer_request_infer(request_.get());
    if (status != ov_status_e::OK) fail_machine(where_ + ": OpenVINO failed to run it (" + last_reason(status) + "); load it again");
  }

  Conditions conditions() const override {
    Conditions all;
    for (const auto& [name, key, is_text] : std::array<Property, 5>{{{"threads", "INFERENCE_NUM_THREADS", false},
                                                                     {"precision_hint", "INFERENCE_PRECISION_HINT", true},
                                                                     {"performance_hint", "PERFORMANCE_HINT", true},
                                                                     {"streams", "NUM_STREAMS", false},
                                                                     {"pinned", "ENABLE_CPU_PINNING", false}}}) {
      char* text = nullptr;
      if (ov_compiled_model_get_property(compiled_.get(), key, &text) != ov_status_e::OK || text == nullptr) continue;
      const std::string value = text;
      ov_free(text);
      const bool is_flag = value == "YES" || value == "NO";
      all.emplace_back(name, is_flag ? (value == "YES" ? "true" : "false") : is_text ? json::quoted(value) : value);
    }
    all.emplace_back("batch", std::to_string(input_shape_.n));
    return all;
  }

 private:
  struct Property {
    const char* name;
    const char* key;
    bool is_text;
  };

  void bind(const std::optional<std::string>& output_name) {
    const Port in = made<ov_output_const_port_t, ov_output_const_port_free>(
        where_, [&](auto** port) { return ov_compiled_model_input(compiled_.get(), port); });
    const Port out = made<ov_output_const_port_t, ov_output_const_port_free>(where_, [&](auto** port) {
      return output_name ? ov_compiled_model_output_by_name(compiled_.get(), output_name->c_str(), port)
                         : ov_compiled_model_output_by_index(compiled_.get(), 0, port);
    });
    input_shape_ = shape_of(where_, "input", in.get());
    output_shape_ = shape_of(where_, "output", out.get());
    input_tensor_ = tensor(in.get());
    output_tensor_ = tensor(out.get());
    input_ = data(input_tensor_.get());
    output_ = data(output_tensor_.get());
  }

  Tensor tensor(const ov_output_const_port_t* port) const {
    return made<ov_tensor_t, ov_tensor_free>(where_, [&](auto** made_tensor) {
      return ov_infer_request_get_tensor_by_const_port(request_.get(), port, made_tensor);
    });
  }

  float* data(const ov_tensor_t* tensor) const {
    void* pointer = nullptr;
    const ov_status_e status = ov_tensor_data(tensor, &pointer);
    if (status != ov_status_e::OK || pointer == nullptr) fail_machine(where_ + ": OpenVINO gives no memory for its tensors");
    return static_cast<float*>(pointer);
  }

  std::string where_;
  Core core_;
  Compiled compiled_;
  Request request_;
  Tensor input_tensor_, output_tensor_;
  Shape input_shape_, output_shape_;
  float* input_ = nullptr;
  float* output_ = nullptr;
};

}  // namespace

std::unique_ptr<Network> open_openvino(const EngineInfo& info, const Options& options) {
  return std::make_unique<OpenVino>(info, options);
}

}  // namespace segedge
