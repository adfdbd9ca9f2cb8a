// The command line of segedge-run, and its verbs, which return the exit code and throw Failure.
#pragma once

#include <string>
#include <vector>

#include "failure.hpp"
#include "segedge/engine.hpp"

namespace segedge::tool {

using Words = std::vector<std::string>;

/// The whole command line; returns the exit code, and throws nothing.
int run(Words words);

int run_infer(const Words& words);
int run_bench(const Words& words);
int run_verify(const Words& words);
int run_info(const Words& words);

/// The value, or its error thrown on to main().
template <class T>
T value_of(Result<T> result) {
  if (!result) throw Failure(result.error().fault, result.error().message);
  return *std::move(result);
}

inline void require_ok(const Status& status) {
  if (!status) throw Failure(status.error().fault, status.error().message);
}

}  // namespace segedge::tool
