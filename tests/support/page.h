#pragma once
/// Pages of one file.
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace fmgs::test {

/// What a page would fetch; the bytes of its pictures are left out.
inline std::vector<std::string> outside_references(const std::string& html) {
    static const std::regex kReference(
        R"re(\b(?:src|href|srcset|poster|action|data|xlink:href)\s*=\s*"([^"]{0,40})|url\s*\(|@import|https?:|<link|<base|<iframe|<object|fetch\(|XMLHttpRequest|import\()re");
    std::vector<std::string> found;
    std::string text;
    for (size_t at = 0; at < html.size();) {  // std::regex is recursive: no megabytes
        const auto start = html.find(";base64,", at);
        text += html.substr(at, start == std::string::npos ? start : start - at);
        at = start == std::string::npos ? html.size() : html.find('"', start);
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        for (std::sregex_iterator it(line.begin(), line.end(), kReference), end; it != end; ++it) {
            const auto target = (*it)[1].str();
            if (!target.starts_with("data:image/jpeg") && !target.starts_with("#"))
                found.push_back(it->str());
        }
    }
    return found;
}

}  // namespace fmgs::test
