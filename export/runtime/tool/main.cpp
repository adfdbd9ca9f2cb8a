// segedge-run: segment, measure and check with an engine folder, without Python.
#include "commands.hpp"

int main(int count, char** values) { return segedge::tool::run({values + (count > 0 ? 1 : 0), values + count}); }
