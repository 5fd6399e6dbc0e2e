#include <fmgs/core/io/torchscript.h>

#include <c10/core/InferenceMode.h>  // of what is taken as it is
#include <caffe2/serialize/inline_container.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/file_kind.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import.h>

namespace fmgs::detail {

namespace fs = std::filesystem;

std::string torchscript_reason(const std::exception_ptr& exception) {
    auto text = message_of(exception);
    if (const auto at = text.rfind("Error: "); at != text.npos) text = text.substr(at + 7);
    const auto end = text.find('\n');
    return end == text.npos ? text : text.substr(0, end);
}

bool is_want_of_memory(const std::string& reason) {
    for (const char* words :
         {"out of memory", "can't allocate memory", "enough memory", "bad_alloc"}) {
        if (reason.find(words) != reason.npos) return true;
    }
    return false;
}

namespace {

[[noreturn]] void refuse_archive(const std::string& file, const std::string& what) {
    throw Error(
        fmt::format("{}: expected a TorchScript archive (of Sapiens: …_torchscript.pt2), got {}; "
                    "make one with torch.jit.trace(network.eval(), pictures).save(FILE)",
                    file, what));
}

void check_archive(const fs::path& file) {
    const auto kind = kind_of(read_first(file, 4096));
    if (kind == FileKind::kUnknown) refuse_archive(file.string(), "something else");
    if (kind != FileKind::kZip) refuse_archive(file.string(), std::string(words_of(kind)));
    std::string what = "a zip archive that is cut short, or none of torch";
    try {
        caffe2::serialize::PyTorchStreamReader reader(file.string());
        if (reader.hasRecord("constants.pkl")) return;
        what = reader.hasRecord("data.pkl") ? "a checkpoint of weights without the network"
                                            : "a program of torch.export, which is another format";
    } catch (const std::exception&) {
        // `what` says it
    }
    refuse_archive(file.string(), what);
}

}  // namespace

torch::jit::Module load_torchscript(const fs::path& path, torch::Device device, bool half) {
    check_archive(path);
    const auto file = path.string();
    try {
        const c10::InferenceMode guard;  // it is taken as it is
        auto module = torch::jit::load(file, device);
        module.eval();
        module.to(device);
        if (half) module.to(torch::kHalf);
        return module;
    } catch (const std::exception&) {
        const auto reason = torchscript_reason(std::current_exception());
        if (is_want_of_memory(reason))
            throw Error(fmt::format("{}: too large for the memory of {}: {}; use a smaller network",
                                    file, device.str(), reason));
        throw Error(
            fmt::format("{}: cannot be loaded ({}); was it copied whole, and made by a torch "
                        "no newer than this LibTorch?",
                        file, reason));
    }
}

}  // namespace fmgs::detail
