// For sanitizer builds only: TBB opens its libraries with RTLD_DEEPBIND, which hides the sanitizers' allocator from them,
// and the sanitizers refuse to go on. Here dlopen leaves that flag out, so that OpenVINO can be loaded under them.
#include <dlfcn.h>

extern "C" void* __interceptor_dlopen(const char* file, int mode);  // AddressSanitizer's

extern "C" void* dlopen(const char* file, int mode) { return __interceptor_dlopen(file, mode & ~RTLD_DEEPBIND); }
