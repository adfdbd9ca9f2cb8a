// Inside the library failures are exceptions; guarded() turns them into values at its border.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "segedge/result.hpp"

namespace segedge {

/// A failure on its way to the border.
class Failure : public std::runtime_error {
 public:
  Failure(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const noexcept { return fault_; }

 private:
  Fault fault_;
};

[[noreturn]] inline void fail_input(const std::string& message) { throw Failure(Fault::input, message); }
[[noreturn]] inline void fail_machine(const std::string& message) { throw Failure(Fault::machine, message); }

/// Runs `body`, putting `where` in front of what it says failed.
template <class Body>
auto within(const std::string& where, Body&& body) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw Failure(failure.fault(), where + ": " + failure.what());
  }
}

/// The exception being handled, as a value. Only within a catch block.
inline Error current_error() {
  try {
    throw;
  } catch (const Failure& failure) {
    return {failure.fault(), failure.what()};
  } catch (const std::bad_alloc&) {
    return {Fault::machine, "out of memory; use a smaller image or free some memory"};
  } catch (const std::exception& error) {
    return {Fault::internal, std::string("unexpected: ") + error.what() + "; please report it"};
  } catch (...) {
    return {Fault::internal, "unexpected exception; please report it"};
  }
}

/// Runs `body`; what it returns or why it failed.
template <class Body>
auto guarded(Body&& body) {
  using Value = std::invoke_result_t<Body>;
  if constexpr (std::is_void_v<Value>) {
    try {
      body();
      return Status();
    } catch (...) {
      return Status(current_error());
    }
  } else {
    try {
      return Result<Value>(body());
    } catch (...) {
      return Result<Value>(current_error());
    }
  }
}

}  // namespace segedge
