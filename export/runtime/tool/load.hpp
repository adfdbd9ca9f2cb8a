// The options by which infer, bench and verify load their engine.
#pragma once

#include <set>
#include <string>

#include "arguments.hpp"
#include "segedge/engine.hpp"

namespace segedge::tool {

/// A command's options with a value, and its flags, with those of `loaded` added.
std::set<std::string> with_loading(std::set<std::string> valued);
std::set<std::string> with_loading_flags(std::set<std::string> flags);

/// The engine that the first word names. Throws Failure.
Engine loaded(const Arguments& arguments);

/// Says on stderr who vouches for an engine.
void say_who_vouches(const Engine& engine);

}  // namespace segedge::tool
