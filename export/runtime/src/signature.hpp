// engine.sig: who made an engine folder, checked against the keys that are trusted here (edge/trust/signature.py).
#pragma once

#include <string>
#include <vector>

#include "segedge/engine.hpp"

namespace segedge {

/// Who vouches for the engine, in one sentence: a trusted key, or that nobody does.
/// `keys` are files of public keys, besides those in ~/.config/segedge/trusted_keys. Throws Failure(Fault::input) where
/// there is a key and none of them has signed the engine as it is now.
std::string vouched(const EngineInfo& info, const std::vector<std::string>& keys);

}  // namespace segedge
