// How long users' files take to read, and how much memory.
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/value.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <chrono>
#include <fstream>

namespace {

using namespace fmgs;

/// A folder that is gone when the program ends.
struct Folder {
    std::filesystem::path path;
    Folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "bench-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// An entry of a dictionary as Python 2 writes an array in protocol 0: its bytes as their repr.
void write_array(std::ofstream& out, const std::string& key, const torch::Tensor& values,
                 const std::string& dtype) {
    out << "S'" << key
        << "'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(";
    for (const auto size : values.sizes()) out << "I" << size << "\n";
    out << "tcnumpy\ndtype\n(S'" << dtype << "'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'";
    const auto* bytes = static_cast<const uint8_t*>(values.data_ptr());
    std::string text;
    for (size_t i = 0; i < values.nbytes(); ++i) {
        const auto c = bytes[i];
        if (c == '\\' || c == '\'')
            text += {'\\', static_cast<char>(c)};
        else if (c == '\n' || c == '\r' || c == '\t')
            text += {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'};
        else if (c >= 32 && c < 127)
            text += static_cast<char>(c);
        else
            text += fmt::format("\\x{:02x}", c);
    }
    out << text << "'\ntbs";
}

/// A body of SMPL 1.1's sizes, of random numbers: about 250 MB.
void write_body_pickle(const std::filesystem::path& file) {
    constexpr int64_t V = 6890, J = 24;
    const auto generator = Random{1}.generator("body");
    const auto random = [&](torch::IntArrayRef shape) {
        return torch::randn(shape, generator, torch::kDouble);
    };
    auto weights = torch::zeros({V, J}, torch::kDouble);
    weights.select(1, 0).fill_(1);
    const auto ids = torch::arange(J);
    auto tree = torch::stack({(ids - 1).clamp_min(0), ids});
    tree[0][0] = 4294967295;
    std::ofstream out(file, std::ios::binary);
    out << "(d";
    write_array(out, "v_template", random({V, 3}), "f8");
    write_array(out, "f", torch::randint(V, {13776, 3}, generator, torch::kLong), "i8");
    write_array(out, "weights", weights, "f8");
    write_array(out, "posedirs", random({V, 3, 9 * (J - 1)}), "f8");
    write_array(out, "shapedirs", random({V, 3, 300}), "f8");
    write_array(out, "J_regressor", torch::full({J, V}, 1.0 / V, torch::kDouble), "f8");
    write_array(out, "kintree_table", tree, "i8");
    out << ".";
    if (!out.flush()) throw Error(file.string() + ": cannot be written");
}

void bench_body_pickle(const Folder& folder) {
    const auto file = folder.path / "body.pkl";
    write_body_pickle(file);
    const auto before = peak_megabytes();
    const auto start = std::chrono::steady_clock::now();
    const auto body = read_body(file);
    const double seconds = seconds_since(start);
    fmt::print(
        "ASCII pickle of a body, {:.1f} MB, {} betas: {:.2f} s (at most 10), peak {:.0f} MB (at "
        "most "
        "1500; {:.0f} before)\n",
        static_cast<double>(std::filesystem::file_size(file)) / 1e6, body.shape_directions.size(2),
        seconds, peak_megabytes(), before);
}

}  // namespace

int main() {
    try {
        const Folder folder;
        bench_body_pickle(folder);
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench_data: {}\n", error.what());
        return 1;
    }
    return 0;
}
