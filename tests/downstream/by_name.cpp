#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>

#include <cstdio>
#ifdef FMGS_LIBRARY
#include <dlfcn.h>
#endif

int fail(const char* why) {
    std::fprintf(stderr, "%s\n", why);
    return 1;
}

int main() {
    auto& dispatcher = c10::Dispatcher::singleton();
#ifdef FMGS_LIBRARY
    if (dispatcher.findSchema({"fmgs::hash_encode", ""})) return fail("linked after all");
    if (!dlopen(FMGS_LIBRARY, RTLD_NOW)) return fail(dlerror());
#endif
    dispatcher.findSchemaOrThrow("fmgs::rasterize", "");
    const auto encode = dispatcher.findSchemaOrThrow("fmgs::hash_encode", "");
    // One level of 4³ vertices that all hold ones: so does every point between them.
    torch::jit::Stack stack{at::ones({64, 2}), at::rand({5, 3}), 1, 4, 4, 10, at::TensorList()};
    encode.callBoxed(stack);
    if (!at::allclose(stack.at(0).toTensor(), at::ones({5, 2}))) return fail("other values");
    return 0;
}
