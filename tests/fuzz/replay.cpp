/// A fuzz target over a folder of seeds: those named valid_* are taken, all others are refused with
/// fmgs::Error.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/core.h>

#include <set>

void read_input(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const std::set<std::filesystem::path> seeds(std::filesystem::directory_iterator(argv[1]), {});
    int wrong = seeds.empty();
    for (const auto& seed : seeds) {
        fmt::print("{}: ", seed.filename().string());
        std::fflush(stdout);  // the name of one that crashes
        const auto bytes = fmgs::read_whole(seed);
        std::string outcome = "taken";
        bool right = seed.filename().string().starts_with("valid_");
        try {
            read_input(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        } catch (const fmgs::Error& error) {
            outcome = error.what();
            right = !right;
        } catch (const std::exception& error) {
            outcome = fmt::format("escaped: {}", error.what());
            right = false;
        }
        fmt::print("{}{}\n", right ? "" : "WRONG: ", outcome);
        wrong += !right;
    }
    fmt::print("{} seeds, {} wrong\n", seeds.size(), wrong);
    return wrong ? 1 : 0;
}
