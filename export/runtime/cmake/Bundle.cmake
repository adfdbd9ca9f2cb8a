# The CMakeLists.txt of a bundle: with only this machine's own packages, in the folder it was unpacked into,
#   cmake -B build && cmake --build build
# makes build/segedge-run.
cmake_minimum_required(VERSION 3.16)
project(segedge_bundle LANGUAGES C CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
add_subdirectory(runtime)
