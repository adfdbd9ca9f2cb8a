// engine.json: what it says, and that the files beside it are the ones it means.
#pragma once

#include <string>

#include "json.hpp"
#include "segedge/engine.hpp"

namespace segedge {

/// Reads an engine folder's engine.json and checks every artefact's hash.
/// Throws Failure(Fault::input) where something is missing or changed.
EngineInfo read_manifest(const std::string& folder);

/// A task from its JSON table, with the checks of the toolkit. `where` is for messages.
Task read_task(const json::Value& table, const std::string& where);

/// A whole text file. Throws Failure(Fault::input).
std::string read_text(const std::string& path);

}  // namespace segedge
