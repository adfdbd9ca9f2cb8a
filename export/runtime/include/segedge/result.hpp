// A value or an error: no call of this library throws.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace segedge {

/// Whose fault an error is. The values are the exit codes of `segedge-run`.
enum class Fault {
  input = 2,     ///< the files or arguments given
  machine = 3,   ///< this machine lacks something: a backend, a device, memory
  internal = 70  ///< a bug of this library
};

/// What went wrong, as "FILE: fault; next step".
struct Error {
  Fault fault = Fault::internal;
  std::string message;
};

/// A `T`, or why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// The value; only after `ok()`.
  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }

  /// The error; only after `!ok()`.
  const Error& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

/// Done, or why not.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}

  bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }

  /// The error; only after `!ok()`.
  const Error& error() const noexcept { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace segedge
