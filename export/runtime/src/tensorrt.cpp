// TensorRT 8.5 to 11 through its runtime alone: deserialize, name the buffers, enqueueV3. Only calls that all of those
// versions have are used, so one source serves every JetPack, and TensorRT for RTX.
#include <NvInfer.h>
#if !SEGEDGE_TENSORRT_RTX
#include <NvInferPlugin.h>
#endif
#include <cuda_runtime_api.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "failure.hpp"
#include "network.hpp"

namespace segedge {
namespace {

constexpr const char* title = SEGEDGE_TENSORRT_RTX ? "TensorRT for RTX" : "TensorRT";

void require_cuda(cudaError_t status, const std::string& what) {
  if (status != cudaSuccess) fail_machine(what + ": CUDA says " + cudaGetErrorString(status) + "; check the device and its driver");
}

/// Keeps the last error, to say it in one sentence.
class Logger final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    try {
      last_ = message;
    } catch (...) {
      last_.clear();
    }
  }
  std::string last() const { return last_.empty() ? "no reason given" : last_; }

 private:
  std::string last_;
};

struct FreeDevice {
  void operator()(void* memory) const noexcept { cudaFree(memory); }
};
struct FreeHost {
  void operator()(float* memory) const noexcept { cudaFreeHost(memory); }
};

/// One tensor: pinned host memory that callers see, and its place on the device.
struct Buffer {
  std::string name;
  Shape shape;
  std::unique_ptr<float, FreeHost> host;
  std::unique_ptr<void, FreeDevice> device;

  std::size_t bytes() const noexcept { return shape.size() * sizeof(float); }
};

class Stream {
 public:
  Stream() { require_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }
  cudaStream_t get() const noexcept { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Copies, network and copies back recorded once and launched as one: on small networks launching costs more than work.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
  }

  /// False where the work cannot be recorded; it then runs call by call.
  template <class Work>
  bool record(cudaStream_t stream, Work&& work) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return false;
    const bool worked = work();
    const bool ended = cudaStreamEndCapture(stream, &graph) == cudaSuccess;
    // The five-argument cudaGraphInstantiate of CUDA 11 is another function in CUDA 12; this one is in both.
    const bool made = worked && ended && cudaGraphInstantiateWithFlags(&executable_, graph, 0) == cudaSuccess;
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    return made;
  }
  bool ready() const noexcept { return executable_ != nullptr; }
  cudaError_t launch(cudaStream_t stream) const { return cudaGraphLaunch(executable_, stream); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

std::string read_plan(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class TensorRt final : public Network {
 public:
  explicit TensorRt(const EngineInfo& info) : where_((std::filesystem::path(info.folder) / info.artefact).string()) {
    int devices = 0;
    require_cuda(cudaGetDeviceCount(&devices), "NVIDIA GPU");
    if (devices == 0) fail_machine("no NVIDIA GPU here; run the engine on its device");
#if !SEGEDGE_TENSORRT_RTX
    initLibNvInferPlugins(&logger_, "");  // 8.5 normalises instances by a plugin
#endif
    runtime_.reset(nvinfer1::createInferRuntime(logger_));
    if (!runtime_) fail_machine(std::string(title) + " gives no runtime (" + logger_.last() + "); check its installation");
    const std::string plan = read_plan(where_);
    engine_.reset(runtime_->deserializeCudaEngine(plan.data(), plan.size()));
    if (!engine_) {
      fail_machine(where_ + ": " + title + " " + version() + " does not take it (" + logger_.last() +
                   "); plans belong to one version and one kind of GPU, build the engine here");
    }
    context_.reset(engine_->createExecutionContext());
    if (!context_) fail_machine(where_ + ": no execution context (" + logger_.last() + "); free some device memory");
    // Plans are built with detail for the inspector; marking each layer for a profiler would slow every launch.
    context_->setNvtxVerbosity(nvinfer1::ProfilingVerbosity::kNONE);
    stream_ = std::make_unique<Stream>();
    bind(info.task.output_name);
    enqueue();  // the first run allocates and chooses; recording is allowed only after it
    graph_.record(stream_->get(), [this] { return try_enqueue(); });
  }

  Shape input_shape() const override { return in_.shape; }
  Shape output_shape() const override { return out_.shape; }
  float* input() override { return in_.host.get(); }
  const float* output() const override { return out_.host.get(); }

  void run() override {
    if (graph_.ready()) {
      require_cuda(graph_.launch(stream_->get()), where_);
      require_cuda(cudaStreamSynchronize(stream_->get()), where_);
    } else {
      enqueue();
    }
  }

  Conditions conditions() const override {
    return {{SEGEDGE_TENSORRT_RTX ? "tensorrt_rtx" : "tensorrt", "\"" + version() + "\""},
            {"cuda_graph", graph_.ready() ? "true" : "false"},
            {"streams", "1"},
            {"transfers", "true"},
            {"batch", std::to_string(in_.shape.n)}};
  }

 private:
  static std::string version() {
    return std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR) + "." + std::to_string(NV_TENSORRT_PATCH);
  }

  void bind(const std::optional<std::string>& output_name) {
    for (std::int32_t i = 0; i < engine_->getNbIOTensors(); ++i) {
      const std::string name = engine_->getIOTensorName(i);
      const bool is_input = engine_->getTensorIOMode(name.c_str()) == nvinfer1::TensorIOMode::kINPUT;
      Buffer buffer = allocated(name);
      if (is_input) {
        if (in_.host) fail_input(where_ + ": has several inputs; export the model with one image input");
        in_ = std::move(buffer);
      } else if (!out_.host && (!output_name || *output_name == name)) {
        out_ = std::move(buffer);
      } else {
        others_.push_back(std::move(buffer));
      }
    }
    if (!in_.host || !out_.host) fail_input(where_ + ": lacks an input or the task's output; build the engine again");
  }

  Buffer allocated(const std::string& name) {
    const nvinfer1::Dims dims = engine_->getTensorShape(name.c_str());
    if (engine_->getTensorDataType(name.c_str()) != nvinfer1::DataType::kFLOAT || dims.nbDims != 4) {
      fail_input(where_ + ": tensor " + name + " is not float32 [n, channels, height, width]; build the engine again");
    }
    std::array<std::size_t, 4> extents{};
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      if (dims.d[axis] < 1) fail_input(where_ + ": tensor " + name + " has no fixed size; build the engine again");
      extents[axis] = static_cast<std::size_t>(dims.d[axis]);
    }
    Buffer buffer{name, {extents[0], extents[1], extents[2], extents[3]}, nullptr, nullptr};
    void *host = nullptr, *device = nullptr;
    require_cuda(cudaMallocHost(&host, buffer.bytes()), "pinned memory");
    buffer.host.reset(static_cast<float*>(host));
    require_cuda(cudaMalloc(&device, buffer.bytes()), "device memory");
    buffer.device.reset(device);
    if (!context_->setTensorAddress(name.c_str(), device)) fail_machine(where_ + ": " + logger_.last());
    return buffer;
  }

  bool try_enqueue() {
    const cudaStream_t stream = stream_->get();
    return cudaMemcpyAsync(in_.device.get(), in_.host.get(), in_.bytes(), cudaMemcpyHostToDevice, stream) == cudaSuccess &&
           context_->enqueueV3(stream) &&
           cudaMemcpyAsync(out_.host.get(), out_.device.get(), out_.bytes(), cudaMemcpyDeviceToHost, stream) == cudaSuccess;
  }

  void enqueue() {
    if (!try_enqueue()) fail_machine(where_ + ": " + title + " failed to run it (" + logger_.last() + ")");
    require_cuda(cudaStreamSynchronize(stream_->get()), where_);
  }

  // In this order: the last made is the first to go.
  std::string where_;
  Logger logger_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  std::unique_ptr<Stream> stream_;
  Buffer in_, out_;
  std::vector<Buffer> others_;
  Graph graph_;
};

}  // namespace

std::unique_ptr<Network> open_tensorrt(const EngineInfo& info, const Options&) { return std::make_unique<TensorRt>(info); }

}  // namespace segedge
