#include <topicfs/error.h>

#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

namespace topicfs {
namespace {

// What each code means to a program, to a system call's caller, and to a person who is told nothing else.
struct CodeMeaning {
    const char* name;
    int as_errno;
    const char* text;
};

CodeMeaning meaning_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::kSystem:
            return {"system", EIO, "a system call failed"};
        case ErrorCode::kInvalid:
            return {"invalid", EINVAL, "it is not allowed"};
        case ErrorCode::kNotFound:
            return {"not_found", ENOENT, "there is no such thing"};
        case ErrorCode::kExists:
            return {"exists", EEXIST, "it is there already"};
        case ErrorCode::kNotEmpty:
            return {"not_empty", ENOTEMPTY, "it is not empty"};
        case ErrorCode::kNotPermitted:
            return {"not_permitted", EPERM, "it is append-only"};
        case ErrorCode::kNameTooLong:
            return {"name_too_long", ENAMETOOLONG, "the name is too long"};
        case ErrorCode::kBusy:
            return {"busy", EBUSY, "somebody else is using it"};
        case ErrorCode::kReadOnly:
            return {"read_only", EROFS, "it takes no appends until the store is opened again"};
        case ErrorCode::kDamaged:
            return {"damaged", EIO, "it is damaged"};
        case ErrorCode::kNotOurs:
            return {"not_ours", EINVAL, "it is not a topicfs store"};
        case ErrorCode::kNewerFormat:
            // A reader of one batch meets this too, and EINVAL would tell him that his read(2) was wrong.
            return {"newer_format", EIO, "it was written by a later version of topicfs"};
        case ErrorCode::kTooLarge:
            return {"too_large", EFBIG, "it is too large"};
    }
    assert(false && "an ErrorCode that is none");
    return {"unknown", EIO, "it failed"};
}

}  // namespace

const char* error_code_name(ErrorCode code) {
    return meaning_of(code).name;
}

std::string Error::message() const {
    std::string text = path;
    if (position) {
        text += (text.empty() ? "at byte " : ", byte ") + std::to_string(*position);
    }
    if (!text.empty()) {
        text += ": ";
    }
    if (!operation.empty()) {
        text += "cannot " + operation + ": ";
    }
    text += detail;
    if (system_errno != 0) {
        text += (detail.empty() ? "" : ": ") + std::generic_category().message(system_errno);
    } else if (detail.empty()) {
        text += meaning_of(code).text;
    }
    return text;
}

int to_errno(const Error& error) {
    if (error.code == ErrorCode::kSystem && error.system_errno > 0) {
        return error.system_errno;
    }
    return meaning_of(error.code).as_errno;
}

Error system_error(int system_errno, std::string operation, std::string path) {
    assert(system_errno > 0);
    return Error{ErrorCode::kSystem, system_errno, std::move(operation), std::move(path), std::nullopt, {}};
}

Error make_error(ErrorCode code, std::string operation, std::string path, std::string detail) {
    return Error{code, 0, std::move(operation), std::move(path), std::nullopt, std::move(detail)};
}

}  // namespace topicfs
