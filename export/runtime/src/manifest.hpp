// engine.json: what it says, and that the files beside it are the ones it means.
#pragma once

#include <string>

#include "json.hpp"
#include "segedge/engine.hpp"

namespace segedge {

/// Reads an engine folder's engine.json and checks its own hash and every artefact's.
/// Throws Failure(Fault::input) where something is missing or changed.
EngineInfo read_manifest(const std::string& folder);

/// Refuses an engine that was proven with another release of a package than the one installed. Throws
/// Failure(Fault::machine).
void require_release(const EngineInfo& info, const std::string& package, const std::string& installed);

/// A task from its JSON table, with the checks of the toolkit. `where` is for messages.
Task read_task(const json::Value& table, const std::string& where);

/// Refuses anything but a plain file, which a pipe or a device would have us wait for. `what` is for the sentence.
/// Throws Failure.
void require_regular(const std::string& path, const std::string& what);

/// A whole text file. Throws Failure(Fault::input).
std::string read_text(const std::string& path);

}  // namespace segedge
