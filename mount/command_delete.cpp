// topicfs delete and undelete: a topic of a mount goes to the trash, and comes back.
#include "base/json.h"
#include "base/json_value.h"
#include "command.h"
#include "group_files.h"

#include <topicfs/store.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

const CommandSpec kDeleteSpec = {
    "delete",
    "Move a topic of a mount to its trash, and say where it is there",
    {{"PATH", "a topic"}},
    {{"json", 0, nullptr, "a JSON object in place of the path"}},
    "Who has it open goes on: readers to its end, writers until they close. It can be read in\n"
    ".trash, and brought back by topicfs undelete for as long as the setting\n"
    "trash.retention.ms says; rm -r removes it there for good. Where the trash has a topic of\n"
    "that name already, a number is added.\n",
    "  topicfs delete /mnt/topics/orders\n"
    "  rm -r /mnt/topics/.trash/orders\n",
};

const CommandSpec kUndeleteSpec = {
    "undelete",
    "Bring a removed topic of a mount back, and say where it is",
    {{"PATH", "the topic in .trash, or where it was before"},
     {"NAME", "what to call it; the name that it had, where none is given", false, false, true}},
    {{"json", 0, nullptr, "a JSON object in place of the path"}},
    "Where more than one topic of that name was removed, the path where it was means the one\n"
    "that was removed last.\n",
    "  topicfs undelete /mnt/topics/orders\n"
    "  topicfs undelete /mnt/topics/.trash/orders.2 orders-of-may\n",
};

namespace {

constexpr std::string_view kTrash = "/.trash";
constexpr unsigned kNamesMax = 10000;  // of one topic in the trash

// A topic by its path: the root of its mount, whether it is in the trash, its name.
struct Place {
    std::string root;
    bool is_in_trash = false;
    std::string name;

    std::string path() const { return root + (is_in_trash ? std::string(kTrash) : "") + "/" + name; }
};

Error no_topic(const std::string& path) {
    return make_error(ErrorCode::kNotFound, "", path, "no topic of a mounted topicfs");
}

Result<std::string> real_path(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    if (!real) {
        return system_error(errno, "", path);
    }
    return std::string(real.get());
}

// Whether or not there is something of that name, there must be a mount where it would be.
Result<Place> place_of(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) {
        path.pop_back();
    }
    const std::size_t slash = path.rfind('/');
    Place place;
    place.name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string above = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    if (place.name.empty() || place.name == "." || place.name == "..") {
        // Such a name stands for another one.
        TOPICFS_TRY_ASSIGN(const std::string real, real_path(path));
        return real == "/" ? Result<Place>(no_topic(path)) : place_of(real);
    }
    TOPICFS_TRY_ASSIGN(place.root, real_path(above));
    place.is_in_trash = place.root.ends_with(kTrash);
    if (place.is_in_trash) {
        place.root.resize(place.root.size() - kTrash.size());
    }
    // Nothing is ever moved that is not ours.
    const auto status = read_text_file(place.root + "/.status");
    const auto parsed = status ? JsonValue::parse(*status) : Result<JsonValue>(no_topic(path));
    if (!parsed || parsed->text("store").empty()) {
        return no_topic(path);
    }
    return place;
}

struct Removed {
    std::string name;  // that it had
    std::uint64_t time_ms = 0;
};

// Nothing where it is no topic in the trash.
std::optional<Removed> removal_of(const Place& place) {
    const auto status = read_text_file(place.path() + "/.status");
    const auto parsed = status ? JsonValue::parse(*status) : Result<JsonValue>(no_topic(place.path()));
    if (!parsed || parsed->text("removed_name").empty()) {
        return std::nullopt;
    }
    return Removed{std::string(parsed->text("removed_name")), parsed->number("removed_ms")};
}

// The one of that name that was removed last.
Result<Place> find_removed(const Place& before, const std::string& path) {
    const std::string trash = before.root + std::string(kTrash);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(trash.c_str()), ::closedir);
    if (!directory) {
        return system_error(errno, "", trash);
    }
    std::optional<Place> found;
    std::uint64_t newest = 0;
    while (const dirent* const entry = ::readdir(directory.get())) {
        const Place place{before.root, true, entry->d_name};
        const auto removed = place.name.starts_with('.') ? std::nullopt : removal_of(place);
        if (removed && removed->name == before.name && (!found || removed->time_ms > newest)) {
            found = place;
            newest = removed->time_ms;
        }
    }
    if (!found) {
        return make_error(ErrorCode::kNotFound, "", path, "no topic of this name is in the trash");
    }
    return *found;
}

// Never in place of another.
Result<void> move(const Place& from, const Place& to) {
    const std::string source = from.path();
    const std::string target = to.path();
    if (::renameat2(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
        return system_error(errno, "", errno == EEXIST ? target : source);
    }
    return {};
}

// "orders", "orders.2", …: as long as a name can be.
std::string name_in_trash(const std::string& name, unsigned number) {
    const std::string suffix = number == 1 ? "" : "." + std::to_string(number);
    return name.substr(0, kTopicNameBytesMax - suffix.size()) + suffix;
}

int say(const CommandLine& line, const Place& from, const Place& to) {
    if (!line.has("json")) {
        return print(to.path() + "\n") ? kExitDone : kExitFailed;
    }
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object()
        .member("from", std::string_view(from.path()))
        .member("to", std::string_view(to.path()))
        .end_object();
    return print(json.text() + "\n") ? kExitDone : kExitFailed;
}

}  // namespace

int run_delete(const CommandLine& line) {
    const std::string& path = line.argument(0);
    const auto place = place_of(path);
    if (!place) {
        return fail(place.error());
    }
    if (place->is_in_trash) {
        return fail(path + ": it is in the trash already; rm -r removes it for good");
    }
    if (place->name.starts_with('.')) {
        return fail(no_topic(path));
    }
    for (unsigned number = 1; number <= kNamesMax; ++number) {
        const Place trashed{place->root, true, name_in_trash(place->name, number)};
        const auto moved = move(*place, trashed);
        if (moved) {
            return say(line, *place, trashed);
        }
        if (moved.error().system_errno != EEXIST) {
            return fail(moved.error());
        }
    }
    return fail(path + ": the trash has too many topics of this name");
}

int run_undelete(const CommandLine& line) {
    const std::string& path = line.argument(0);
    auto from = place_of(path);
    if (from && !from->is_in_trash) {
        from = find_removed(*from, path);
    }
    if (!from) {
        return fail(from.error());
    }
    const auto removed = removal_of(*from);
    if (!removed) {
        return fail(make_error(ErrorCode::kNotFound, "", path, "no topic of this name is in the trash"));
    }
    const Place to{from->root, false, line.arguments().size() > 1 ? line.argument(1) : removed->name};
    if (const auto named = check_topic_name(to.name); !named) {
        return fail(named.error());
    }
    const auto moved = move(*from, to);
    if (!moved && moved.error().system_errno == EEXIST) {
        return fail(to.path() + ": there is a topic of this name; give another: topicfs undelete " + from->path() +
                    " NAME");
    }
    return moved ? say(line, *from, to) : fail(moved.error());
}

}  // namespace topicfs
