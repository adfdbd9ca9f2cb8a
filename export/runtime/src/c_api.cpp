#include <cstring>
#include <string>

#include "failure.hpp"
#include "segedge/engine.hpp"
#include "segedge/segedge.h"

struct segedge_engine {
  segedge::Engine engine;
  segedge::Mask mask;
};

namespace {

using segedge::Error;
using segedge::Failure;

thread_local std::string last_error;

segedge_status failed(const Error& error) noexcept {
  try {
    last_error = error.message;
  } catch (...) {
    last_error.clear();
  }
  return static_cast<segedge_status>(error.fault);
}

/// Runs `body`; its failure as a status and a sentence.
template <class Body>
segedge_status at_border(Body&& body) noexcept {
  try {
    last_error.clear();
    body();
    return SEGEDGE_OK;
  } catch (...) {
    return failed(segedge::current_error());
  }
}

[[noreturn]] void raise(const Error& error) { throw Failure(error.fault, error.message); }

}  // namespace

segedge_status segedge_load(const char* folder, int threads, segedge_engine** engine) {
  return segedge_load_trusted(folder, threads, nullptr, 0, engine);
}

segedge_status segedge_load_trusted(const char* folder, int threads, const char* const* keys, size_t count,
                                    segedge_engine** engine) {
  return at_border([&] {
    if (engine == nullptr) segedge::fail_input("engine: is NULL; give the address of a pointer");
    *engine = nullptr;
    if (folder == nullptr) segedge::fail_input("folder: is NULL; give an engine folder");
    segedge::Options options;
    options.threads = threads;
    for (size_t i = 0; i < count; ++i) {
      if (keys == nullptr || keys[i] == nullptr) segedge::fail_input("keys: one is NULL; give files of public keys");
      options.trusted_keys.emplace_back(keys[i]);
    }
    auto loaded = segedge::Engine::load(folder, options);
    if (!loaded) raise(loaded.error());
    *engine = new segedge_engine{*std::move(loaded), {}};
  });
}

segedge_status segedge_segment(segedge_engine* engine, const segedge_image* image, uint8_t* labels, size_t capacity) {
  return at_border([&] {
    if (engine == nullptr || image == nullptr || labels == nullptr) {
      segedge::fail_input("engine, image or labels: is NULL; give all three");
    }
    const size_t maps = segedge_maps(engine);
    if (image->height > 0 && image->width > 0 &&
        capacity / static_cast<size_t>(image->height) / maps < static_cast<size_t>(image->width)) {
      segedge::fail_input("labels: holds " + std::to_string(capacity) + " bytes; give height * width of the image" +
                          (maps > 1 ? " for each of " + std::to_string(maps) + " maps" : ""));
    }
    if (image->dtype < SEGEDGE_UINT8 || image->dtype > SEGEDGE_FLOAT32) segedge::fail_input("image: is of no known dtype");
    const segedge::ImageView view{image->data,   image->height, image->width, image->channels,
                                  image->stride, static_cast<segedge::Dtype>(image->dtype)};
    if (const segedge::Status done = engine->engine.segment(view, engine->mask); !done) raise(done.error());
    std::memcpy(labels, engine->mask.labels.data(), engine->mask.labels.size());
  });
}

size_t segedge_classes(const segedge_engine* engine) {
  return engine == nullptr ? 0 : engine->engine.info().task.classes.size();
}

size_t segedge_maps(const segedge_engine* engine) {
  return engine == nullptr ? 0 : static_cast<size_t>(engine->engine.info().task.mask_maps());
}

const char* segedge_class_name(const segedge_engine* engine, size_t index) {
  return index < segedge_classes(engine) ? engine->engine.info().task.classes[index].c_str() : nullptr;
}

const char* segedge_vouched(const segedge_engine* engine) {
  return engine == nullptr ? "" : engine->engine.info().vouched.c_str();
}

const char* segedge_error(void) { return last_error.c_str(); }

void segedge_free(segedge_engine* engine) { delete engine; }
