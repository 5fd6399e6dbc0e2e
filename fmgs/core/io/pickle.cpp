#include <fmgs/core/io/pickle.h>

#include <fmgs/core/io/pickle_machine.h>
#include <fmgs/core/io/pickle_numpy.h>

#include <algorithm>

namespace fmgs::detail {
namespace {

bool has_changed_line_ends(std::string_view bytes) {
    const size_t ends = static_cast<size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    size_t changed = 0;
    for (size_t at = 0; (at = bytes.find("\r\n", at)) != bytes.npos; at += 2) ++changed;
    return ends > 0 && changed == ends;
}

}  // namespace

bool Pickle::is(NodeId id, Global global) const {
    return is(id, PickleNode::Kind::kGlobal) && nodes[id].integer == static_cast<int64_t>(global);
}

Pickle parse_pickle(std::string_view bytes, const std::string& what, const PickleOptions& options) {
    Pickle out;
    out.what = what;
    out.parts.emplace_back();  // of all that is empty
    try {
        PickleMachine machine(out, bytes, options);
        out.root = machine.run();
        out.size = machine.at();
    } catch (const Error&) {
        if (!has_changed_line_ends(bytes)) throw;
        throw Error(
            fmt::format("{}: a pickle whose line ends were changed (LF to CRLF); copy or "
                        "download it again in binary mode",
                        what));
    }
    return out;
}

NodeId PickleMachine::run() {
    while (true) {
        const auto opcode = static_cast<uint8_t>(bytes_.number(1));
        if (opcode == '.') break;
        if (take_number(opcode) || take_text(opcode) || take_container(opcode) ||
            take_items(opcode) || take_memo(opcode) || take_object(opcode))
            continue;
        refuse(opcode);
    }
    return pop();
}

void PickleMachine::refuse(uint8_t opcode) const {
    switch (opcode) {
        case 'P':
        case 'Q':
            bytes_.fail("it refers to an object outside the file (persistent id)");
        case 'i':
        case 'o':
            bytes_.fail("it holds an instance of a class of Python 2, which is not read");
        case 0x82:
        case 0x83:
        case 0x84:
            bytes_.fail("it uses copyreg's extension codes, which are not read");
        case 0x92:
            bytes_.fail("an object made with named arguments, which is not read");
        case 0x97:
        case 0x98:
            bytes_.fail("it refers to a buffer outside the file");
        default:
            bytes_.fail("0x{:02x} is no opcode of protocols 0 to 5", opcode);
    }
}

bool PickleMachine::take_number(uint8_t opcode) {
    switch (opcode) {
        case 'N':
            return push(PickleNode()), true;
        case 0x88:
        case 0x89:
            return push_integer(Kind::kBoolean, opcode == 0x88), true;
        case 'J':
            return push_integer(Kind::kInteger, static_cast<int32_t>(bytes_.number(4))), true;
        case 'K':
            return push_integer(Kind::kInteger, static_cast<int64_t>(bytes_.number(1))), true;
        case 'M':
            return push_integer(Kind::kInteger, static_cast<int64_t>(bytes_.number(2))), true;
        case 0x8a:
            return push_integer(Kind::kInteger, bytes_.long_integer(bytes_.number(1))), true;
        case 0x8b:
            return push_integer(Kind::kInteger, bytes_.long_integer(bytes_.number(4))), true;
        case 'I': {
            const auto line = bytes_.line();
            if (line == "00" || line == "01")
                return push_integer(Kind::kBoolean, line == "01"), true;
            return push_integer(Kind::kInteger, bytes_.integer_of(line)), true;
        }
        case 'L':
            return push_integer(Kind::kInteger, bytes_.integer_of(bytes_.line())), true;
        case 'F':
        case 'G': {
            PickleNode node;
            node.kind = Kind::kReal;
            node.real = opcode == 'F' ? bytes_.real_of(bytes_.line()) : bytes_.big_endian_double();
            return push(node), true;
        }
        default:
            return false;
    }
}

bool PickleMachine::take_text(uint8_t opcode) {
    const auto counted = [&](Kind kind, int bytes) {
        push_text(kind, bytes_.take(bytes_.number(bytes)));
        return true;
    };
    switch (opcode) {
        case 'S': {
            const auto line = bytes_.line();
            if (line.size() < 2 || line.front() != line.back() ||
                (line.front() != '\'' && line.front() != '"'))
                bytes_.fail("a text that is not quoted");
            const auto inner = line.substr(1, line.size() - 2);
            if (inner.find('\\') == inner.npos) return push_text(Kind::kBytes, inner), true;
            return push_owned(Kind::kBytes, unescape_repr(inner, out_.what)), true;
        }
        case 'V':
            return push_owned(Kind::kText, unescape_unicode(bytes_.line(), out_.what)), true;
        case 'T':
            return counted(Kind::kBytes, 4);
        case 'U':
        case 'C':
            return counted(Kind::kBytes, 1);
        case 'B':
            return counted(Kind::kBytes, 4);
        case 0x8e:
        case 0x96:
            return counted(Kind::kBytes, 8);
        case 0x8c:
            return counted(Kind::kText, 1);
        case 'X':
            return counted(Kind::kText, 4);
        case 0x8d:
            return counted(Kind::kText, 8);
        default:
            return false;
    }
}

bool PickleMachine::take_container(uint8_t opcode) {
    switch (opcode) {
        case '(':
            return marks_.push_back(stack_.size()), true;
        case ')':
            return push_parts(Kind::kTuple, {}), true;
        case ']':
            return push_parts(Kind::kList, {}), true;
        case '}':
            return push_parts(Kind::kDict, {}), true;
        case 0x8f:
            return push_parts(Kind::kSet, {}), true;
        case 't':
            return push_parts(Kind::kTuple, pop_mark()), true;
        case 'l':
            return push_parts(Kind::kList, pop_mark()), true;
        case 0x91:
            return push_parts(Kind::kSet, pop_mark()), true;
        case 'd': {
            auto items = pop_mark();
            if (items.size() % 2) bytes_.fail("a key without a value");
            return push_parts(Kind::kDict, std::move(items)), true;
        }
        case 0x85:
        case 0x86:
        case 0x87: {
            std::vector<NodeId> items(opcode - 0x84);
            for (size_t i = items.size(); i-- > 0;) items[i] = pop();
            return push_parts(Kind::kTuple, std::move(items)), true;
        }
        default:
            return false;
    }
}

bool PickleMachine::take_items(uint8_t opcode) {
    switch (opcode) {
        case 'a': {
            const auto item = pop();
            return append(top(), {item}, Kind::kList), true;
        }
        case 'e':
        case 0x90: {
            const auto items = pop_mark();
            return append(top(), items, opcode == 'e' ? Kind::kList : Kind::kSet), true;
        }
        case 's': {
            const auto value = pop(), key = pop();
            return set_items(top(), {key, value}), true;
        }
        case 'u': {
            const auto items = pop_mark();
            return set_items(top(), items), true;
        }
        default:
            return false;
    }
}

bool PickleMachine::take_memo(uint8_t opcode) {
    const auto index_of = [&](std::string_view line) {
        const auto index = bytes_.integer_of(line);
        if (index < 0) bytes_.fail("a negative number of a memo");
        return static_cast<uint64_t>(index);
    };
    switch (opcode) {
        case 'p':
            return put(index_of(bytes_.line())), true;
        case 'q':
            return put(bytes_.number(1)), true;
        case 'r':
            return put(bytes_.number(4)), true;
        case 0x94:
            return put(remembered_), true;
        case 'g':
            return get(index_of(bytes_.line())), true;
        case 'h':
            return get(bytes_.number(1)), true;
        case 'j':
            return get(bytes_.number(4)), true;
        case '0':
            if (!marks_.empty() && marks_.back() == stack_.size()) return marks_.pop_back(), true;
            return pop(), true;
        case '1':
            return pop_mark(), true;
        case '2':
            return push(top()), true;
        default:
            return false;
    }
}

bool PickleMachine::take_object(uint8_t opcode) {
    switch (opcode) {
        case 0x80:
            if (const auto protocol = bytes_.number(1); protocol > 5)
                bytes_.fail("protocol {} is not known", protocol);
            return true;
        case 0x95:
            if (const auto size = bytes_.number(8); size > bytes_.rest().size())
                bytes_.fail("cut off: {} bytes are missing", size - bytes_.rest().size());
            return true;
        case 'c': {
            const auto module = bytes_.line(), name = bytes_.line();
            return push_global(module, name), true;
        }
        case 0x93: {
            const auto name = pop(), module = pop();
            if (!out_.is(name, Kind::kText) || !out_.is(module, Kind::kText))
                bytes_.fail("the name of a class that is no text");
            return push_global(out_.node(module).text, out_.node(name).text), true;
        }
        case 'R':
        case 0x81: {
            const auto arguments = pop(), called = pop();
            return call(called, arguments), true;
        }
        case 'b':
            return build(), true;
        case 'Q':
            if (!options_.torch) return false;
            return push_parts(Kind::kPersistent, {pop()}), true;
        default:
            return false;
    }
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
    constexpr size_t kLongestName = 200;
    const auto global = global_of(module.substr(0, kLongestName), name.substr(0, kLongestName),
                                  options_.torch, out_.what);
    PickleNode node;
    node.kind = Kind::kGlobal;
    node.integer = static_cast<int64_t>(global);
    out_.unescaped.push_back(fmt::format("{}.{}", module, name));
    node.text = out_.unescaped.back();
    push(node);
}

void PickleMachine::call(NodeId called, NodeId arguments) {
    if (!out_.is(called, Kind::kGlobal)) bytes_.fail("a call of what is no class or function");
    if (!out_.is(arguments, Kind::kTuple)) bytes_.fail("arguments that are no tuple");
    push_parts(Kind::kObject, {called, arguments, kNoNode});
}

void PickleMachine::build() {
    const auto state = pop(), object = top();
    if (!out_.is(object, Kind::kObject)) bytes_.fail("a state of what is no object");
    out_.parts[out_.nodes[object].parts][kState] = state;
    if (options_.joblib && out_.is(class_of(out_, object), Global::kJoblibArray))
        take_joblib_array(object);
}

void PickleMachine::take_joblib_array(NodeId object) {
    const auto array = joblib_array(out_, object);
    if (array.aligned) bytes_.take(bytes_.number(1));
    if (!array.objects) {
        out_.nodes[object].text = bytes_.take(array.bytes);
        return;
    }
    PickleMachine machine(out_, bytes_.rest(), {.torch = false, .joblib = false});
    machine.pushed_ = pushed_;
    const auto nested = machine.run();
    pushed_ = machine.pushed_;
    bytes_.skip_to(bytes_.at() + machine.at());
    out_.parts[out_.nodes[object].parts].resize(kFirstItem);
    out_.parts[out_.nodes[object].parts].push_back(nested);
}

}  // namespace fmgs::detail
