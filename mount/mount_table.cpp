#include "mount_table.h"

#include "base/text.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace topicfs {

namespace {

// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto is_octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
        if (text[i] == '\\' && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

// The number of an optional field, as 12 of "shared:12"; 0 where `word` is no such field.
std::uint64_t group_number(std::string_view word, std::string_view field) {
    return word.starts_with(field) ? parse_unsigned(word.substr(field.size())).value_or(0) : 0;
}

std::optional<MountEntry> parse_mount(std::string_view line) {
    // "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPEROPTIONS"
    const auto words = split(line, ' ');
    std::size_t dash = 6;
    MountEntry entry;
    while (dash < words.size() && words[dash] != "-") {
        entry.peer_group = std::max(entry.peer_group, group_number(words[dash], "shared:"));
        entry.master_group = std::max(entry.master_group, group_number(words[dash], "master:"));
        ++dash;
    }
    if (dash + 3 >= words.size()) {
        return std::nullopt;
    }
    const auto device = split(words[2], ':');
    const auto id = parse_unsigned(words[0]);
    const auto parent = parse_unsigned(words[1]);
    const auto major = parse_unsigned(device[0]);
    const auto minor = device.size() == 2 ? parse_unsigned(device[1]) : std::nullopt;
    if (!id || !parent || !major || !minor) {
        return std::nullopt;
    }
    entry.id = *id;
    entry.parent_id = *parent;
    entry.device_major = static_cast<unsigned>(*major);
    entry.device_minor = static_cast<unsigned>(*minor);
    entry.root = unescape(words[3]);
    entry.mount_point = unescape(words[4]);
    entry.type = unescape(words[dash + 1]);
    entry.source = unescape(words[dash + 2]);
    entry.super_options = words[dash + 3];
    return entry;
}

const MountEntry* find_id(const std::vector<MountEntry>& table, std::uint64_t id) {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const MountEntry& entry) { return entry.id == id; });
    return found == table.end() ? nullptr : &*found;
}

// Whether what is unmounted in the peer group is unmounted on `mount` too: it is one of the group, or follows one of
// it, maybe through others.
bool follows_group(const std::vector<MountEntry>& table, const MountEntry& mount, std::uint64_t group) {
    std::uint64_t master = mount.master_group;
    bool follows = mount.peer_group == group || master == group;
    for (std::size_t step = 0; !follows && master != 0 && step < table.size(); ++step) {
        const auto next = std::find_if(table.begin(), table.end(), [&](const MountEntry& entry) {
            return entry.peer_group == master && entry.master_group != 0;
        });
        master = next == table.end() ? 0 : next->master_group;
        follows = master == group;
    }
    return follows;
}

// Where in the file system below it the mount lies.
std::string place_in(const MountEntry& parent, const MountEntry& mount) {
    const auto skipped = parent.mount_point == "/" ? 0 : std::min(parent.mount_point.size(), mount.mount_point.size());
    return (parent.root == "/" ? "" : parent.root) + mount.mount_point.substr(skipped);
}

// Whether the kernel takes `other` away with `mount`: they are one mount that was propagated.
bool goes_with(const std::vector<MountEntry>& table, const MountEntry& mount, const MountEntry& other) {
    const MountEntry* below = find_id(table, mount.parent_id);
    const MountEntry* below_other = find_id(table, other.parent_id);
    return below != nullptr && below_other != nullptr && below != below_other && below->peer_group != 0 &&
           follows_group(table, *below_other, below->peer_group) && mount.root == other.root &&
           place_in(*below, mount) == place_in(*below_other, other);
}

}  // namespace

std::vector<MountEntry> parse_mount_table(std::string_view text) {
    std::vector<MountEntry> table;
    for (const std::string_view line : split_lines(text)) {
        if (auto entry = parse_mount(line)) {
            table.push_back(std::move(*entry));
        }
    }
    return table;
}

Result<std::vector<MountEntry>> read_mount_table() {
    constexpr const char* kPath = "/proc/self/mountinfo";
    std::ifstream file(kPath);
    if (!file) {
        return system_error(errno, "open", kPath);
    }
    std::ostringstream text;
    text << file.rdbuf();
    return parse_mount_table(text.str());
}

std::optional<MountEntry> find_mount(const std::vector<MountEntry>& table, std::string_view path) {
    // Of several mounts at one path the one that is parent of none of the others is on top. A mount's number may be
    // reused, so the order of the lines says nothing.
    std::vector<const MountEntry*> here;
    for (const MountEntry& entry : table) {
        if (entry.mount_point == path) {
            here.push_back(&entry);
        }
    }
    for (const MountEntry* candidate : here) {
        bool covered = false;
        for (const MountEntry* other : here) {
            covered = covered || (other != candidate && other->parent_id == candidate->id);
        }
        if (!covered) {
            return *candidate;
        }
    }
    return std::nullopt;
}

std::vector<MountEntry> find_other_mounts(const std::vector<MountEntry>& table, const MountEntry& mount) {
    std::vector<MountEntry> others;
    for (const MountEntry& entry : table) {
        const bool same_device = entry.device_major == mount.device_major && entry.device_minor == mount.device_minor;
        if (same_device && entry.id != mount.id && !goes_with(table, mount, entry)) {
            others.push_back(entry);
        }
    }
    return others;
}

std::optional<std::string> mount_option(std::string_view options, std::string_view name) {
    for (const std::string_view option : split(options, ',')) {
        const std::size_t equals = option.find('=');
        if (equals != std::string_view::npos && option.substr(0, equals) == name) {
            return std::string(option.substr(equals + 1));
        }
    }
    return std::nullopt;
}

bool is_inside(std::string_view path, std::string_view directory) {
    if (directory == "/") {
        return true;
    }
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

Result<std::string> resolve_path(const std::string& path) {
    const auto real = [](const std::string& name) {
        return std::unique_ptr<char, void (*)(void*)>(::realpath(name.c_str(), nullptr), ::free);
    };
    if (const auto found = real(path)) {
        return std::string(found.get());
    }
    const int failure = errno;
    std::string trimmed = path;
    while (trimmed.size() > 1 && trimmed.back() == '/') {
        trimmed.pop_back();
    }
    const std::size_t slash = trimmed.rfind('/');
    const std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
    // A dead mount answers ENOTCONN, one of another user EACCES: its own name is then no link.
    if ((failure != ENOTCONN && failure != EACCES) || name.empty() || name == "." || name == "..") {
        return system_error(failure, "look up", path);
    }
    const auto parent = real(slash == std::string::npos ? "." : slash == 0 ? "/" : trimmed.substr(0, slash));
    if (!parent) {
        return system_error(errno, "look up", path);
    }
    const std::string directory = parent.get();
    return directory == "/" ? "/" + name : directory + "/" + name;
}

}  // namespace topicfs
