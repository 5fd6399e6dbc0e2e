#pragma once
/// The project's sources as a gate reads them: the code of each line, and where its functions begin
/// and end.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fmgs::test {

inline const std::filesystem::path kRoot = FMGS_SOURCE_DIR;

/// Every C++ and CUDA file in these folders of the repository; builds in it are left out.
inline std::vector<std::filesystem::path> sources(const std::vector<std::string>& folders) {
    std::vector<std::filesystem::path> files;
    const std::set<std::string> endings{".h", ".cpp", ".cu", ".cuh"};
    for (const auto& folder : folders) {
        std::filesystem::recursive_directory_iterator entry(kRoot / folder);
        for (; entry != std::filesystem::recursive_directory_iterator(); ++entry) {
            if (entry->is_directory() && entry->path().filename().string().rfind("build", 0) == 0)
                entry.disable_recursion_pending();
            else if (endings.count(entry->path().extension()))
                files.push_back(entry->path());
        }
    }
    return files;
}

/// Lines of a source, and the same lines without comments, texts and preprocessor directives.
struct Source {
    std::vector<std::string> lines, code;

    explicit Source(const std::filesystem::path& file) {
        std::ifstream in(file);
        read(in);
    }
    explicit Source(std::istream& in) { read(in); }

  private:
    void read(std::istream& in) {
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        for (const auto& line : lines) code.push_back(code_of(line));
    }

    enum State { kCode, kDirective, kComment, kText, kRawText } state_ = kCode;
    std::string raw_end_;

    /// What `line` has of code, one character for a whole text.
    std::string code_of(const std::string& line) {
        static const std::regex directive(R"(\s*#.*)");
        if (state_ == kCode && std::regex_match(line, directive)) state_ = kDirective;
        std::string out;
        size_t at = 0;
        while (at < line.size()) {
            if (state_ == kDirective) break;
            if (state_ == kComment || state_ == kRawText) {
                const std::string end = state_ == kComment ? "*/" : raw_end_;
                const auto found = line.find(end, at);
                if (found == std::string::npos) return out;
                at = found + end.size();
                state_ = kCode;
            } else if (line.compare(at, 2, "//") == 0) {
                return out;
            } else if (line.compare(at, 2, "/*") == 0) {
                state_ = kComment;
                at += 2;
            } else if (line.compare(at, 2, "R\"") == 0 && !is_word(line, at)) {
                const auto open = line.find('(', at);
                raw_end_.assign(1, ')').append(line, at + 2, open - at - 2) += '"';
                state_ = kRawText;
                at = open + 1;
                out += '"';
            } else if (line[at] == '"' || (line[at] == '\'' && !is_word(line, at))) {
                const char quote = line[at++];
                while (at < line.size() && line[at] != quote) at += line[at] == '\\' ? 2 : 1;
                ++at;
                out += '"';
            } else {
                out += line[at++];
            }
        }
        if (state_ == kDirective && (line.empty() || line.back() != '\\')) state_ = kCode;
        return out;
    }
    /// Is the character before `at` part of a word or number (1'000)?
    static bool is_word(const std::string& line, size_t at) {
        return at > 0 &&
               (std::isalnum(static_cast<unsigned char>(line[at - 1])) || line[at - 1] == '_');
    }
};

struct Function {
    size_t first, last;  ///< lines, from 1: from the head to the closing brace
    size_t size() const { return last - first + 1; }
};

/// Bodies that stand at the scope of a namespace or a class, tests among them. `balanced` is false
/// where the braces do not match and the functions say nothing.
struct Functions {
    std::vector<Function> all;
    bool balanced = true;

    explicit Functions(const Source& source) {
        for (size_t k = 0; k < source.code.size(); ++k) read(source.code[k], k + 1);
        balanced = balanced && open_.empty();
    }

  private:
    enum Kind { kScope, kFunction, kOther };
    struct Brace {
        Kind kind;
        size_t line;
    };
    std::vector<Brace> open_;
    std::string head_;  // since the last ';', '{' or '}' outside of functions
    size_t head_line_ = 0;

    void read(const std::string& code, size_t line) {
        for (const char c : code) {
            if (c == '{') {
                open_.push_back({kind(), head_line_ ? head_line_ : line});
            } else if (c == '}') {
                if (open_.empty()) {
                    balanced = false;
                    return;
                }
                if (open_.back().kind == kFunction) all.push_back({open_.back().line, line});
                open_.pop_back();
            }
            if (c == ';' || c == '{' || c == '}') {
                head_.clear();
                head_line_ = 0;
            } else if (!head_.empty() || !std::isspace(static_cast<unsigned char>(c))) {
                if (head_.empty()) head_line_ = line;
                head_ += c;
            }
        }
        head_ += ' ';
        if (head_ == " ") head_.clear();
    }
    /// Of the brace that `head_` opens.
    Kind kind() const {
        for (const auto& brace : open_) {
            if (brace.kind != kScope) return kOther;
        }
        static const std::regex scope(
            R"((template\s*<.*>\s*)?(inline\s+)?(namespace|extern|class|struct|enum|union)\b.*)");
        if (std::regex_match(head_, scope)) return kScope;
        return head_.find('(') != std::string::npos ? kFunction : kOther;
    }
};

}  // namespace fmgs::test
